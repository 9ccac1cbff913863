//! In which form a scraper gets the metrics: OpenMetrics, or Prometheus' older text for whoever says that it would rather
//! have that; and packed with gzip for whoever says that it can unpack it.
//!
//! Who says nothing gets OpenMetrics, as it is. Nothing here fails: a header that makes no sense says nothing.

use super::reply::Reply;
use crate::protocol::encoding::Encoding;
use hyper::HeaderMap;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};

pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Puts metrics into the form that was asked for. Other pages stay as they are.
pub(super) fn negotiate(mut reply: Reply, headers: &HeaderMap) -> Reply {
    if reply.content_type != OPEN_METRICS {
        return reply;
    }
    if wants_older_text(headers) {
        let text = String::from_utf8_lossy(&reply.body);
        reply.body = older_text(&text).into_bytes();
        reply.content_type = PROMETHEUS_TEXT;
    }
    if takes_gzip(headers) {
        let (body, used) = Encoding::Gzip.apply(reply.body, usize::MAX);
        reply.body = body;
        reply.is_gzip = used == Encoding::Gzip;
    }
    reply
}

fn wants_older_text(headers: &HeaderMap) -> bool {
    let quality = |names: &[&str]| quality(headers, ACCEPT, names);
    let open_metrics = quality(&["application/openmetrics-text"]);
    // A browser would only offer to save the other.
    let text = quality(&["text/plain", "text/*", "text/html"]);
    let any = quality(&["*/*"]).unwrap_or(0.0);
    text.unwrap_or(any) > open_metrics.unwrap_or(any)
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    quality(headers, ACCEPT_ENCODING, &["gzip"]).is_some_and(|quality| quality > 0.0)
}

/// How much one of these values is wanted by a header that lists what is, from 0 to 1; `None` if it does not say.
fn quality(headers: &HeaderMap, header: HeaderName, names: &[&str]) -> Option<f64> {
    let lists = headers.get_all(header);
    let wishes = lists.iter().filter_map(|list| list.to_str().ok());
    let of_wish = |wish: &str| {
        let mut parts = wish.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let is_meant = names.iter().any(|one| name.eq_ignore_ascii_case(one));
        let quality = parts.find_map(|part| part.strip_prefix("q="));
        is_meant.then(|| quality.and_then(|text| text.parse().ok()).unwrap_or(1.0))
    };
    wishes
        .flat_map(|list| list.split(','))
        .filter_map(of_wish)
        .reduce(f64::max)
}

/// OpenMetrics in Prometheus' text format 0.0.4: counters are called as their samples are, and nothing marks the end.
fn older_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut lines = open_metrics.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" {
            break;
        }
        // What a family is called depends on its type, which comes after its help.
        let declared = if line.starts_with("# HELP ") {
            lines.peek().copied().unwrap_or(line)
        } else {
            line
        };
        let is_counter = declared.starts_with("# TYPE ") && declared.ends_with(" counter");
        // "# HELP " and "# TYPE " are of the same length.
        let (keyword, rest) = line.split_at_checked("# TYPE ".len()).unwrap_or((line, ""));
        match rest.split_once(' ').filter(|_| is_counter) {
            Some((name, rest)) => text.extend([keyword, name, "_total ", rest]),
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn asking(header: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header, HeaderValue::from_static(value))])
    }

    #[test]
    fn whoever_would_rather_have_the_older_text_gets_it() {
        assert!(!wants_older_text(&HeaderMap::new()));
        for (accept, is_older) in [
            ("*/*", false),
            ("", false),
            ("q=;;,=", false),
            ("text/plain;q=oops", true),
            ("application/openmetrics-text", false),
            ("text/plain", true),
            ("text/plain; version=0.0.4; q=0.5", true),
            // Prometheus 1 and 2.0, and those that were made after them.
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,\
                 text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
                true,
            ),
            // Prometheus 2.42 and 3.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                false,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;q=0.4,\
                 text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                false,
            ),
            // A browser.
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                true,
            ),
            ("application/json", false),
        ] {
            let is = wants_older_text(&asking(ACCEPT, accept));
            assert_eq!(is, is_older, "{accept}");
        }
    }

    #[test]
    fn nothing_is_packed_for_whoever_cannot_unpack_it() {
        assert!(!takes_gzip(&HeaderMap::new()));
        for (accept, is_taken) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.1", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("br", false),
        ] {
            let is = takes_gzip(&asking(ACCEPT_ENCODING, accept));
            assert_eq!(is, is_taken, "{accept}");
        }
    }

    #[test]
    fn the_older_text_calls_counters_as_their_samples_are() {
        let open_metrics = "# HELP a About a a.\n# TYPE a counter\na_total{b=\"a\"} 1\n\
                            # HELP g Now.\n# TYPE g gauge\ng 2.5\n\
                            # TYPE c counter\nc_total 3\n\
                            # HELP h Times.\n# TYPE h histogram\nh_sum 1.0\nh_count 1\nh_bucket{le=\"+Inf\"} 1\n# EOF\n";
        assert_eq!(
            older_text(open_metrics),
            "# HELP a_total About a a.\n# TYPE a_total counter\na_total{b=\"a\"} 1\n\
             # HELP g Now.\n# TYPE g gauge\ng 2.5\n\
             # TYPE c_total counter\nc_total 3\n\
             # HELP h Times.\n# TYPE h histogram\nh_sum 1.0\nh_count 1\nh_bucket{le=\"+Inf\"} 1\n"
        );
    }
}
