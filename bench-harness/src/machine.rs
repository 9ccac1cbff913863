//! What machine this is, for the record: figures of different machines must not be mixed up.

use std::fs;
use std::thread;

use crate::record::Machine;

impl Machine {
    /// This one.
    pub fn here() -> Machine {
        let kernel = rustix::system::uname();
        Machine {
            processor: processor(),
            processors: thread::available_parallelism()
                .ok()
                .and_then(|count| u32::try_from(count.get()).ok())
                .unwrap_or(1),
            kernel: format!(
                "{} {}",
                kernel.sysname().to_string_lossy(),
                kernel.release().to_string_lossy()
            ),
            memory_bytes: memory_bytes(),
        }
    }
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    // ARM kernels tell no model name.
    field(&text, "model name").map_or_else(|| std::env::consts::ARCH.to_owned(), ToOwned::to_owned)
}

fn memory_bytes() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    field(&text, "MemTotal")
        .and_then(|value| value.strip_suffix(" kB")?.trim().parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then_some(value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_name_memory_and_a_kernel() {
        let machine = Machine::here();
        assert!(!machine.processor.is_empty());
        assert!(machine.processors >= 1);
        assert!(machine.kernel.starts_with("Linux "), "{}", machine.kernel);
        assert!(machine.memory_bytes > 1 << 20);
    }
}
