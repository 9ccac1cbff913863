//! One figure of one case as horizontal bars, one a server, from zero: the median as the bar, the rounds' range as a thin line.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{Area, Drawn, Ink, Picture, fine, shortened, write};
use crate::record::Spread;
use crate::report::quantity::ABSENT;

#[derive(Debug)]
pub(in crate::report) struct Bars<'a> {
    pub id: &'a str,
    /// The case.
    pub heading: &'a str,
    /// What is drawn, such as `delivered messages a second`.
    pub figure: &'a str,
    pub unit: fn(f64) -> String,
    pub bars: Vec<Bar<'a>>,
}

#[derive(Debug)]
pub(in crate::report) struct Bar<'a> {
    pub label: &'a str,
    pub slot: usize,
    pub value: Option<Spread>,
}

const WIDTH: i32 = 420;
const HEADING: i32 = 30;
const ROW: i32 = 30;
const BAR: i32 = 18;
/// Where the bars begin, right of the servers' names.
const BASE: i32 = 132;
/// Where the longest bar ends; its number follows.
const END: i32 = 336;
const TEXT: i32 = 13;
const LABEL_CHARACTERS: usize = 17;
const HEADING_CHARACTERS: usize = 52;

impl Bars<'_> {
    pub(in crate::report) fn svg(&self) -> String {
        let rows = i32::try_from(self.bars.len()).unwrap_or(0);
        let height = HEADING + ROW * rows + 6;
        let picture = Picture {
            id: self.id,
            title: &format!("{}: {}", self.heading, self.figure),
            description: &self.description(),
            size: (WIDTH.unsigned_abs(), height.unsigned_abs()),
        };
        picture.draw(|area| {
            let heading = shortened(self.heading, HEADING_CHARACTERS);
            write(
                area,
                &heading,
                (0, fine(4)),
                (HPos::Left, VPos::Top),
                Ink::Text,
                TEXT,
            )?;
            for (row, bar) in (0..).zip(&self.bars) {
                self.draw_bar(area, bar, HEADING + ROW * row + ROW / 2)?;
            }
            let base = [(fine(BASE), fine(HEADING)), (fine(BASE), fine(height - 6))];
            area.draw(&PathElement::new(base, Ink::Muted.line(1)))?;
            Ok(())
        })
    }

    fn draw_bar(&self, area: &Area<'_>, bar: &Bar<'_>, middle: i32) -> Drawn {
        let (y, half) = (fine(middle), fine(BAR) / 2);
        let label = shortened(bar.label, LABEL_CHARACTERS);
        let at = (fine(BASE - 8), y);
        write(
            area,
            &label,
            at,
            (HPos::Right, VPos::Center),
            Ink::Text,
            TEXT,
        )?;
        let mut after = fine(BASE);
        let mut number = ABSENT.to_owned();
        if let Some(value) = bar.value {
            let (end, least, greatest) = (
                self.place(value.median),
                self.place(value.least),
                self.place(value.greatest),
            );
            let corners = [(fine(BASE), y - half), (end, y + half)];
            area.draw(&Rectangle::new(corners, Ink::Series(bar.slot).fill()))?;
            if least < greatest {
                draw_range(area, least, greatest, y)?;
            }
            after = end.max(greatest);
            number = (self.unit)(value.median);
        }
        let at = (after + fine(6), y);
        write(
            area,
            &number,
            at,
            (HPos::Left, VPos::Center),
            Ink::Text,
            TEXT,
        )
    }

    #[expect(clippy::cast_possible_truncation, reason = "between BASE and END")]
    fn place(&self, value: f64) -> i32 {
        let values = self.bars.iter().filter_map(|bar| bar.value);
        let greatest = values
            .map(|value| value.greatest.max(value.median))
            .fold(0.0, f64::max);
        let share = match greatest > 0.0 {
            true => (value / greatest).clamp(0.0, 1.0),
            false => 0.0,
        };
        fine(BASE) + (f64::from(fine(END - BASE)) * share).round() as i32
    }

    fn description(&self) -> String {
        let sentences: Vec<String> = self.bars.iter().map(|bar| self.sentence(bar)).collect();
        sentences.join("; ")
    }

    fn sentence(&self, bar: &Bar<'_>) -> String {
        let label = bar.label;
        match bar.value {
            None => format!("{label} not measured"),
            Some(value) if value.least < value.greatest => format!(
                "{label} {} ({} to {})",
                (self.unit)(value.median),
                (self.unit)(value.least),
                (self.unit)(value.greatest)
            ),
            Some(value) => format!("{label} {}", (self.unit)(value.median)),
        }
    }
}

fn draw_range(area: &Area<'_>, least: i32, greatest: i32, y: i32) -> Drawn {
    let cap = fine(4);
    let strokes = [
        [(least, y), (greatest, y)],
        [(least, y - cap), (least, y + cap)],
        [(greatest, y - cap), (greatest, y + cap)],
    ];
    for stroke in strokes {
        area.draw(&PathElement::new(stroke, Ink::Text.line(1)))?;
    }
    Ok(())
}
