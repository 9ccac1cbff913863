//! The whole histograms of the records, added up, and their curve of delay by percentile.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;

use crate::record::Distribution;

/// Of those that have one: a record may be kept without its histogram, to be small. An error is a reason in a few words.
pub(super) fn sum<'a>(
    distributions: impl Iterator<Item = &'a Distribution>,
) -> Result<Option<Histogram<u64>>, String> {
    let mut sum: Option<Histogram<u64>> = None;
    for distribution in distributions.filter(|one| !one.histogram.is_empty()) {
        let one = decode(distribution)?;
        match &mut sum {
            Some(sum) => sum.add(&one).map_err(|error| error.to_string())?,
            None => {
                // Runs may have recorded different ranges.
                let mut first = one;
                first.auto(true);
                sum = Some(first);
            }
        }
    }
    Ok(sum.filter(|sum| !sum.is_empty()))
}

fn decode(distribution: &Distribution) -> Result<Histogram<u64>, String> {
    let bytes = BASE64_STANDARD
        .decode(&distribution.histogram)
        .map_err(|error| format!("no base64: {error}"))?;
    let histogram: Histogram<u64> = Deserializer::new()
        .deserialize(&mut bytes.as_slice())
        .map_err(|error| format!("no HdrHistogram: {error:?}"))?;
    if histogram.len() != distribution.count {
        return Err(format!(
            "it has {} values instead of {}",
            histogram.len(),
            distribution.count
        ));
    }
    Ok(histogram)
}

/// Points of `(x, ns)`, where `x` is the number of nines: 0 for 0 %, 1 for 90 %, 2 for 99 %. It ends where one value is left.
pub(in crate::report) fn latency_curve(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let end = (histogram.len() as f64).log10();
    let steps = STEPS_PER_NINE * end;
    let mut points = vec![(0.0, histogram.min() as f64)];
    let mut step = 1.0;
    while step < steps {
        let nines = step / STEPS_PER_NINE;
        let quantile = 1.0 - 10_f64.powf(-nines);
        points.push((nines, histogram.value_at_quantile(quantile) as f64));
        step += 1.0;
    }
    points.push((end, histogram.max() as f64));
    points
}

const STEPS_PER_NINE: f64 = 30.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_climbs_from_the_least_to_the_greatest() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        for value in 1..=1000 {
            histogram.record(value * 1000).unwrap();
        }
        let curve = latency_curve(&histogram);
        let (first, last) = (curve[0], curve[curve.len() - 1]);
        assert!(first.0 == 0.0 && (first.1 - 1000.0).abs() < 10.0);
        assert!((last.0 - 3.0).abs() < 1e-9 && (last.1 - 1e6).abs() < 1e3);
        assert!(
            curve
                .windows(2)
                .all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1)
        );
        let at_90 = curve
            .iter()
            .find(|(nines, _)| (nines - 1.0).abs() < 1e-9)
            .unwrap();
        assert!((at_90.1 - 9e5).abs() < 1e3);
    }

    #[test]
    fn one_value_is_a_curve_too() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        histogram.record(5).unwrap();
        assert_eq!(latency_curve(&histogram), vec![(0.0, 5.0), (0.0, 5.0)]);
    }
}
