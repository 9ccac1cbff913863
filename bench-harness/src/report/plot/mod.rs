//! Drawings as SVG text for the HTML page: bars and latency curves.
//!
//! A drawing follows the page's colours: it is drawn in stand-in colours, each of which then becomes a class that the style
//! sheet fills in for light and dark. Each has a title and a description for those who do not see it.

mod bars;
mod curves;
mod ink;

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub(super) use bars::{Bar, Bars};
pub(super) use curves::{Curve, curves};
use ink::Ink;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn Error>>;

/// Drawing units in one unit of the finished picture: the drawing crate rounds to whole units, which alone would be coarse.
const FINE: u32 = 8;

/// `id` must be the only one of its kind on the page.
struct Picture<'a> {
    id: &'a str,
    title: &'a str,
    description: &'a str,
    size: (u32, u32),
}

impl Picture<'_> {
    fn draw(&self, paint: impl FnOnce(&Area<'_>) -> Drawn) -> String {
        let mut svg = String::new();
        {
            let size = (self.size.0 * FINE, self.size.1 * FINE);
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            paint(&area)
                .and_then(|()| Ok(area.present()?))
                .expect("drawing into memory finds no obstacle");
        }
        // From the crate's opening tag only its drawing's size is needed.
        let inside = svg.split_once('>').map_or("", |(_, inside)| inside);
        let id = self.id;
        format!(
            "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\">\n\
             <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-desc\">{}</desc>{}",
            self.size.0 * FINE,
            self.size.1 * FINE,
            super::html::Text(self.title),
            super::html::Text(self.description),
            ink::to_classes(inside)
        )
    }
}

/// The mark of a series, for a legend. The text beside it says the same, so it is hidden from screen readers.
pub(super) fn swatch(slot: usize) -> String {
    let (width, height) = (28, 14);
    let mut svg = String::new();
    {
        let area =
            SVGBackend::with_string(&mut svg, (width * FINE, height * FINE)).into_drawing_area();
        let line = [(0, fine(7)), (fine(28), fine(7))];
        area.draw(&PathElement::new(line, Ink::Series(slot).line(2)))
            .and_then(|()| mark(&area, slot, (fine(14), fine(7))))
            .and_then(|()| area.present())
            .expect("drawing into memory finds no obstacle");
    }
    let inside = svg.split_once('>').map_or("", |(_, inside)| inside);
    format!(
        "<svg class=\"swatch\" viewBox=\"0 0 {} {}\" aria-hidden=\"true\" focusable=\"false\">{}",
        width * FINE,
        height * FINE,
        ink::to_classes(inside)
    )
}

/// In drawing units.
fn fine(units: i32) -> i32 {
    units * i32::try_from(FINE).unwrap_or(1)
}

/// A shape for each series, so that colour is not all that tells them apart.
fn mark(
    area: &Area<'_>,
    slot: usize,
    centre: (i32, i32),
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let (x, y) = centre;
    let style = Ink::Series(slot).fill();
    let r = fine(4);
    let polygon = |points: &[(i32, i32)]| {
        let points: Vec<_> = points.iter().map(|(dx, dy)| (x + dx, y + dy)).collect();
        area.draw(&Polygon::new(points, style))
    };
    match slot % 5 {
        0 => area.draw(&Circle::new(centre, r, style)),
        1 => polygon(&[(-r, -r), (r, -r), (r, r), (-r, r)]),
        2 => polygon(&[(0, -r - r / 4), (r + r / 4, r), (-r - r / 4, r)]),
        3 => polygon(&[
            (0, -r - r / 2),
            (r + r / 2, 0),
            (0, r + r / 2),
            (-r - r / 2, 0),
        ]),
        _ => polygon(&[(0, r + r / 4), (r + r / 4, -r), (-r - r / 4, -r)]),
    }
}

/// Text at a point of the drawing.
fn write(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    align: (HPos, VPos),
    ink: Ink,
    size: i32,
) -> Drawn {
    /// The drawing crate writes sizes divided by this.
    const CRATE_SHRINKS: f64 = 1.24;
    let colour = ink.colour();
    let style = TextStyle::from(("sans-serif", f64::from(fine(size)) * CRATE_SHRINKS).into_font())
        .color(&colour)
        .pos(Pos::new(align.0, align.1));
    // A control character would make the page no valid document.
    let clean: String = text
        .chars()
        .filter(|character| !character.is_control())
        .collect();
    area.draw(&plotters::element::Text::new(clean, at, style))?;
    Ok(())
}

/// At most so many characters; what is cut stands in full in the tables.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}
