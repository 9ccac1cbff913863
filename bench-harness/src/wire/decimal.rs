//! Whole numbers in decimal digits, as text protocols write lengths and identifiers. *Hot path.*
//!
//! A number is digits only, at most eighteen of them: no sign, no room to overflow.

/// Nothing, if these are not the digits of a number.
pub(super) fn read(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits.iter().try_fold(0, |value, &digit| {
        digit
            .is_ascii_digit()
            .then(|| value * 10 + u64::from(digit - b'0'))
    })
}

pub(super) fn write(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut begin = digits.len();
    loop {
        begin -= 1;
        digits[begin] = b"0123456789"[usize::try_from(number % 10).unwrap_or(0)];
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[begin..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for number in [0, 7, 10, 999, 1 << 32, 999_999_999_999_999_999] {
            let mut digits = Vec::new();
            write(&mut digits, number);
            assert_eq!(digits, number.to_string().as_bytes());
            assert_eq!(read(&digits), Some(number));
        }
    }

    #[test]
    fn takes_nothing_else() {
        for text in ["", "-1", "+1", " 1", "1 ", "0x1", "1000000000000000000"] {
            assert_eq!(read(text.as_bytes()), None, "{text:?}");
        }
    }
}
