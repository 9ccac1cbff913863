//! Short byte strings without an allocation: subscription identifiers are numbers of one to ten digits, subjects mostly
//! shorter than two words of a pointer and what it points to.

/// An immutable byte string that lies inside the value itself up to `INLINE_MAX` bytes of content. Choose 6 more than a
/// multiple of 8: that leaves no padding.
#[derive(Clone, PartialEq, Eq)]
pub struct SmallBytes<const INLINE_MAX: usize>(Repr<INLINE_MAX>);

#[derive(Clone, PartialEq, Eq)]
enum Repr<const INLINE_MAX: usize> {
    Inline { len: u8, bytes: [u8; INLINE_MAX] },
    // Boxed twice: a thin pointer keeps the value small, and long content is rare.
    Heap(Box<Box<[u8]>>),
}

impl<const INLINE_MAX: usize> SmallBytes<INLINE_MAX> {
    pub fn new(content: &[u8]) -> SmallBytes<INLINE_MAX> {
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

impl<const INLINE_MAX: usize> std::fmt::Debug for SmallBytes<INLINE_MAX> {
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
            assert_eq!(SmallBytes::<14>::new(&content).as_slice(), content);
            assert_eq!(SmallBytes::<22>::new(&content).as_slice(), content);
        }
    }

    #[test]
    fn has_no_padding() {
        assert_eq!(size_of::<SmallBytes<14>>(), 16);
        assert_eq!(size_of::<SmallBytes<22>>(), 24);
    }
}
