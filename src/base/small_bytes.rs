//! Short byte strings without an allocation: subscription identifiers are numbers of one to ten digits.

/// At most this many bytes lie inside the value itself.
const INLINE_MAX: usize = 14;

/// An immutable byte string; 16 bytes in size, and nothing on the heap up to 14 bytes of content.
#[derive(Clone, PartialEq, Eq)]
pub struct SmallBytes(Repr);

#[derive(Clone, PartialEq, Eq)]
enum Repr {
    Inline { len: u8, bytes: [u8; INLINE_MAX] },
    // Boxed twice: a thin pointer keeps the whole value at 16 bytes, and long identifiers are rare.
    Heap(Box<Box<[u8]>>),
}

impl SmallBytes {
    pub fn new(content: &[u8]) -> SmallBytes {
        match u8::try_from(content.len()) {
            Ok(len) if content.len() <= INLINE_MAX => {
                let mut bytes = [0; INLINE_MAX];
                bytes[..content.len()].copy_from_slice(content);
                SmallBytes(Repr::Inline { len, bytes })
            }
            _ => SmallBytes(Repr::Heap(Box::new(content.into()))),
        }
    }

    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Heap(bytes) => bytes,
        }
    }
}

impl std::fmt::Debug for SmallBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_its_content_on_both_sides_of_the_limit() {
        for len in 0..40 {
            let content: Vec<u8> = (0..len).collect();
            assert_eq!(SmallBytes::new(&content).as_slice(), content);
        }
    }

    #[test]
    fn is_two_words() {
        assert_eq!(size_of::<SmallBytes>(), 16);
    }
}
