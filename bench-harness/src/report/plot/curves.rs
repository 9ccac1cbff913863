//! Delay by percentile, one pair of curves a server: corrected solid, service time dashed. The percentiles are spread as in
//! HdrHistogram's own plots, each further nine as wide as the one before, and the delays are logarithmic.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{Area, Drawn, Ink, Picture, fine, mark, write};
use crate::report::quantity::time;

#[derive(Debug)]
pub(in crate::report) struct Curve<'a> {
    pub label: &'a str,
    pub slot: usize,
    /// `(number of nines, ns)`, climbing.
    pub corrected: Vec<(f64, f64)>,
    pub service: Vec<(f64, f64)>,
}

const WIDTH: i32 = 460;
const HEIGHT: i32 = 320;
const LEFT: i32 = 60;
/// Leaves room for half of the last percentile.
const RIGHT: i32 = 424;
const TOP: i32 = 12;
const BOTTOM: i32 = 272;
const TEXT: i32 = 12;
/// One value in a million: more percentiles would not be readable on a phone, and the tables have the greatest value.
const NINES_MOST: f64 = 6.0;
/// From so many decades on, lines at the powers of ten are enough.
const DECADES_PLENTY: f64 = 3.0;

pub(in crate::report) fn curves(id: &str, heading: &str, curves: &[Curve<'_>]) -> String {
    let frame = Frame::around(curves);
    let picture = Picture {
        id,
        title: &format!("{heading}: delay by percentile"),
        description: &description(curves),
        size: (WIDTH.unsigned_abs(), HEIGHT.unsigned_abs()),
    };
    picture.draw(|area| {
        frame.draw_grid(area)?;
        // All the dashed ones first, so that where both are the same the solid one is seen.
        for curve in curves {
            frame.draw_line(area, &curve.service, Ink::Dashed(curve.slot))?;
        }
        for curve in curves {
            frame.draw_line(area, &curve.corrected, Ink::Series(curve.slot))?;
            frame.draw_marks(area, curve)?;
        }
        Ok(())
    })
}

fn description(curves: &[Curve<'_>]) -> String {
    let sentences: Vec<String> = curves
        .iter()
        .filter_map(|curve| {
            let (first, last) = (curve.corrected.first()?, curve.corrected.last()?);
            Some(format!(
                "{} from {} to {}",
                curve.label,
                time(first.1),
                time(last.1)
            ))
        })
        .collect();
    format!(
        "Corrected delays: {}. The table below has the percentiles.",
        sentences.join("; ")
    )
}

/// The ranges of both axes. Delays are powers of ten of a nanosecond.
struct Frame {
    nines: f64,
    lowest: f64,
    highest: f64,
}

impl Frame {
    fn around(curves: &[Curve<'_>]) -> Frame {
        let points = || {
            curves
                .iter()
                .flat_map(|curve| curve.corrected.iter().chain(&curve.service))
        };
        let nines = points().map(|point| point.0).fold(1.0, f64::max);
        let delays = || points().map(|point| power(point.1));
        let (least, greatest) = (
            delays().fold(f64::INFINITY, f64::min),
            delays().fold(0.0, f64::max),
        );
        // A little air, and an axis that has a length even when all delays are the same.
        let lowest = (least.min(greatest) - 0.1).max(0.0);
        Frame {
            nines: nines.min(NINES_MOST),
            lowest,
            highest: (greatest + 0.1).max(lowest + 0.4),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "within the picture")]
    fn place(&self, point: (f64, f64)) -> (i32, i32) {
        let right = (point.0 / self.nines).clamp(0.0, 1.0);
        let up = (power(point.1) - self.lowest) / (self.highest - self.lowest);
        let x = f64::from(fine(LEFT)) + f64::from(fine(RIGHT - LEFT)) * right;
        let y = f64::from(fine(BOTTOM)) - f64::from(fine(BOTTOM - TOP)) * up.clamp(0.0, 1.0);
        (x.round() as i32, y.round() as i32)
    }

    fn draw_grid(&self, area: &Area<'_>) -> Drawn {
        for ns in self.delay_ticks() {
            let (_, y) = self.place((0.0, ns));
            let line = [(fine(LEFT), y), (fine(RIGHT), y)];
            area.draw(&PathElement::new(line, Ink::Grid.line(1)))?;
            let at = (fine(LEFT - 8), y);
            write(
                area,
                &time(ns),
                at,
                (HPos::Right, VPos::Center),
                Ink::Muted,
                TEXT,
            )?;
        }
        for (nines, name) in self.percentile_ticks() {
            let (x, _) = self.place((nines, 1.0));
            let line = [(x, fine(TOP)), (x, fine(BOTTOM))];
            area.draw(&PathElement::new(line, Ink::Grid.line(1)))?;
            let at = (x, fine(BOTTOM + 8));
            write(area, name, at, (HPos::Center, VPos::Top), Ink::Muted, TEXT)?;
        }
        let at = (fine(i32::midpoint(LEFT, RIGHT)), fine(HEIGHT - 18));
        write(
            area,
            "percentile",
            at,
            (HPos::Center, VPos::Top),
            Ink::Muted,
            TEXT,
        )
    }

    /// 1, 10, 100 of each unit; over few decades also 2 and 5 of them, over one also those between.
    fn delay_ticks(&self) -> Vec<f64> {
        let decades = self.highest - self.lowest;
        let steps: &[f64] = match decades {
            few if few < 0.9 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
            some if some < DECADES_PLENTY => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        let powers = (0..20).map(|power| 10_f64.powi(power));
        powers
            .flat_map(|unit| steps.iter().map(move |step| unit * step))
            .filter(|ns| (self.lowest..=self.highest).contains(&power(*ns)))
            .collect()
    }

    fn percentile_ticks(&self) -> impl Iterator<Item = (f64, &'static str)> {
        const NAMES: [&str; 7] = ["0%", "90%", "99%", "99.9%", "99.99%", "99.999%", "99.9999%"];
        let end = self.nines;
        (0..)
            .map(f64::from)
            .zip(NAMES)
            .filter(move |(nines, _)| *nines <= end)
    }

    fn draw_line(&self, area: &Area<'_>, points: &[(f64, f64)], ink: Ink) -> Drawn {
        let mut path: Vec<(i32, i32)> = Vec::new();
        let within = points.iter().filter(|point| point.0 <= self.nines);
        for place in within.map(|point| self.place(*point)) {
            // Of a level stretch, its two ends are enough.
            if let [.., before, last] = path[..]
                && before.1 == place.1
                && last.1 == place.1
            {
                path.pop();
            }
            path.push(place);
        }
        area.draw(&PathElement::new(path, ink.line(2)))?;
        Ok(())
    }

    /// At 0 %, 90 %, 99 % and so on.
    fn draw_marks(&self, area: &Area<'_>, curve: &Curve<'_>) -> Drawn {
        for (nines, _) in self.percentile_ticks() {
            let nearest = curve.corrected.iter().find(|point| point.0 >= nines - 1e-9);
            if let Some((_, ns)) = nearest {
                mark(area, curve.slot, self.place((nines, *ns)))?;
            }
        }
        Ok(())
    }
}

/// A delay of nothing stands at the foot, with one nanosecond.
fn power(ns: f64) -> f64 {
    ns.max(1.0).log10()
}
