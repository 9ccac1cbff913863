//! What a stroke means, rather than its colour. Drawn in stand-in colours that nothing else uses; afterwards each becomes a
//! class of the style sheet.

use plotters::style::{Color, RGBColor, ShapeStyle};

use super::FINE;

/// How many series get colours of their own; further ones share them and differ by their mark.
const SLOTS: usize = 8;

#[derive(Debug, Clone, Copy)]
pub(super) enum Ink {
    Series(usize),
    /// The same colour, in dashes.
    Dashed(usize),
    Text,
    Muted,
    Grid,
}

impl Ink {
    /// Told from others by its last byte; the first two only make it unlikely elsewhere.
    pub(super) fn colour(self) -> RGBColor {
        let code = match self {
            Ink::Series(slot) => slot % SLOTS,
            Ink::Dashed(slot) => 0x10 + slot % SLOTS,
            Ink::Text => 0x20,
            Ink::Muted => 0x21,
            Ink::Grid => 0x22,
        };
        RGBColor(0xA1, 0x5E, u8::try_from(code).unwrap_or(0x20))
    }

    /// `width` in units of the finished picture.
    pub(super) fn line(self, width: u32) -> ShapeStyle {
        self.colour().stroke_width(width * FINE)
    }

    pub(super) fn fill(self) -> ShapeStyle {
        self.colour().filled()
    }

    fn name(self) -> String {
        match self {
            Ink::Series(slot) => format!("s{slot}"),
            Ink::Dashed(slot) => format!("s{slot} dashed"),
            Ink::Text => "text".to_owned(),
            Ink::Muted => "muted".to_owned(),
            Ink::Grid => "grid".to_owned(),
        }
    }
}

/// Every element has one stand-in colour, as its fill or as its stroke. Text of the drawing cannot be mistaken for one:
/// quotes in it are escaped.
pub(super) fn to_classes(svg: &str) -> String {
    let mut svg = svg
        .replace(" opacity=\"1\"", "")
        .replace(" font-family=\"sans-serif\"", "")
        .replace(" stroke=\"none\"", "");
    let single = [Ink::Text, Ink::Muted, Ink::Grid];
    let series = (0..SLOTS).flat_map(|slot| [Ink::Series(slot), Ink::Dashed(slot)]);
    for ink in series.chain(single) {
        let RGBColor(red, green, blue) = ink.colour();
        let colour = format!("#{red:02X}{green:02X}{blue:02X}");
        let name = ink.name();
        svg = svg
            .replace(
                &format!("fill=\"{colour}\""),
                &format!("class=\"fill {name}\""),
            )
            .replace(
                &format!("stroke=\"{colour}\""),
                &format!("class=\"line {name}\""),
            );
    }
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ink_has_a_colour_of_its_own_that_becomes_its_class() {
        let inks = [
            Ink::Series(0),
            Ink::Series(7),
            Ink::Dashed(7),
            Ink::Text,
            Ink::Muted,
            Ink::Grid,
        ];
        for ink in inks {
            let RGBColor(red, green, blue) = ink.colour();
            let drawn = format!("<path stroke=\"#{red:02X}{green:02X}{blue:02X}\"/>");
            let expected = format!("<path class=\"line {}\"/>", ink.name());
            assert_eq!(to_classes(&drawn), expected);
        }
    }
}
