//! The mappings of an account, as `/accountz` shows them: nats-server shows what it draws from, the destinations with the
//! least weight first and each weight with those before it.

use crate::config::account::Mapping;
use serde::Serialize;

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Destination<'a> {
    subject: String,
    weight: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'a str>,
}

/// Where a mapping leads: what holds in every cluster first, then the clusters that have destinations of their own.
pub(super) fn destinations(mapping: &Mapping) -> Vec<Destination<'_>> {
    let mut clusters = vec![None];
    for destination in &mapping.destinations {
        let cluster = destination.cluster.as_deref();
        if !clusters.contains(&cluster) {
            clusters.push(cluster);
        }
    }
    let shown = clusters.into_iter().map(|cluster| within(mapping, cluster));
    shown.flatten().collect()
}

fn within<'a>(mapping: &'a Mapping, cluster: Option<&'a str>) -> Vec<Destination<'a>> {
    let of_cluster = mapping.destinations.iter();
    let of_cluster = of_cluster.filter(|destination| destination.cluster.as_deref() == cluster);
    let mut shown: Vec<Destination<'_>> = of_cluster
        .map(|destination| Destination {
            subject: destination.subject.clone(),
            weight: destination.weight,
            cluster,
        })
        .collect();
    let covered: u8 = shown.iter().map(|one| one.weight).sum();
    let loses_rest = mapping
        .destinations
        .iter()
        .any(|destination| destination.subject == mapping.source);
    if covered < 100 && !loses_rest {
        shown.push(Destination {
            subject: unchanged(&mapping.source),
            weight: 100 - covered,
            cluster,
        });
    }
    shown.sort_by_key(|one| one.weight);
    let mut so_far = 0;
    for one in &mut shown {
        so_far += one.weight;
        one.weight = so_far;
    }
    shown
}

/// The destination that leaves subjects of `source` as they are.
fn unchanged(source: &str) -> String {
    let mut wildcards = 0;
    let tokens = source.split('.').map(|token| {
        if token != "*" {
            return token.to_owned();
        }
        wildcards += 1;
        format!("${wildcards}")
    });
    tokens.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::account;

    fn shown(source: &str, to: &[(&str, u8, Option<&str>)]) -> Vec<(String, u8, Option<String>)> {
        let mapping = Mapping {
            source: source.to_owned(),
            destinations: to
                .iter()
                .map(|(subject, weight, cluster)| account::Destination {
                    subject: (*subject).to_owned(),
                    weight: *weight,
                    cluster: cluster.map(str::to_owned),
                })
                .collect(),
        };
        destinations(&mapping)
            .into_iter()
            .map(|one| (one.subject, one.weight, one.cluster.map(str::to_owned)))
            .collect()
    }

    #[test]
    fn weights_add_up_and_the_rest_keeps_its_subject() {
        let text = str::to_owned;
        assert_eq!(
            shown("a.*.b.*", &[("x", 50, None), ("y", 20, None)]),
            [
                (text("y"), 20, None),
                (text("a.$1.b.$2"), 50, None),
                (text("x"), 100, None)
            ]
        );
        assert_eq!(
            shown("a", &[("a", 10, None)]),
            [(text("a"), 10, None)],
            "the rest is lost"
        );
        assert_eq!(
            shown("a", &[("x", 100, Some("east"))]),
            [(text("a"), 100, None), (text("x"), 100, Some(text("east")))]
        );
    }
}
