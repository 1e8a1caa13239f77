//! Throughput, and the load on the source, over time; with the limits that were in force.

use crate::catalog::{Pace, Span};
use crate::config::units::format_rate;
use crate::job::report::local_time;

/// The room for bars.
const WIDTH: i64 = 720;
const HEIGHT: u64 = 110;

/// A picture of bars over time, with a line for what was allowed.
pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) told: String,
    /// Left, top, width, height.
    pub(super) bars: Vec<(i64, u64, i64, u64)>,
    /// Pieces of the line of the limit: from, to, height.
    pub(super) limits: Vec<(i64, i64, u64)>,
    /// What the top of the picture stands for, and what the limit is now.
    pub(super) top: String,
    pub(super) limit: Option<String>,
    pub(super) begin: String,
    pub(super) end: String,
}

/// One bar: when, how much, how much was allowed.
type Point = (i64, u64, Option<u64>);

impl Chart {
    pub(super) fn of_rate(pace: &[Pace], span: Span, since: i64, end: i64) -> Chart {
        let seconds = u64::try_from(span.seconds()).unwrap_or(1);
        let points: Vec<Point> = pace.iter().map(|p| (p.at, p.bytes / seconds, p.rate)).collect();
        Chart::draw("Throughput", &points, span, (since, end), format_rate)
    }

    pub(super) fn of_load(pace: &[Pace], span: Span, since: i64, end: i64) -> Chart {
        let points: Vec<Point> = pace.iter().map(|p| (p.at, p.held, p.most)).collect();
        let words = |n: u64| format!("{n} {}", if n == 1 { "association" } else { "associations" });
        Chart::draw("Load on the source", &points, span, (since, end), words)
    }

    fn draw(
        title: &'static str,
        points: &[Point],
        span: Span,
        (since, end): (i64, i64),
        words: impl Fn(u64) -> String,
    ) -> Chart {
        let highest = points.iter().map(|(_, value, _)| *value).max().unwrap_or(0);
        let allowed = points.iter().filter_map(|(_, _, limit)| *limit).max().unwrap_or(0);
        let top = highest.max(allowed).max(1);
        let length = (end - since).max(1);
        let x = |at: i64| (at - since).clamp(0, length) * WIDTH / length;
        let height = |value: u64| {
            let exact = u128::from(value) * u128::from(HEIGHT) / u128::from(top);
            u64::try_from(exact).unwrap_or(HEIGHT)
        };
        let spans = |at: &i64| (x(*at), x(*at + span.seconds()));
        let bars = points.iter().filter(|(_, value, _)| *value > 0).map(|(at, value, _)| {
            let ((left, right), tall) = (spans(at), height(*value).max(1));
            (left, HEIGHT - tall, (right - left - 1).max(1), tall)
        });
        let mut limits: Vec<(i64, i64, u64)> = Vec::new();
        for (at, _, limit) in points {
            let (Some(limit), (left, right)) = (limit, spans(at)) else { continue };
            let y = HEIGHT - height(*limit);
            match limits.last_mut() {
                // One line for as long as it holds, so that it can be dashed.
                Some(last) if last.2 == y && last.1 == left => last.1 = right,
                _ => limits.push((left, right, y)),
            }
        }
        let limit = points.last().and_then(|(_, _, limit)| *limit).map(&words);
        let allowed = limit.as_ref().map_or("no limit".to_owned(), |limit| format!("the limit is {limit}"));
        Chart {
            title,
            told: format!("{title}: at most {}, {allowed}", words(highest)),
            bars: bars.collect(),
            limits,
            top: words(top),
            limit,
            begin: local_time(since * 1000).chars().take(16).collect(),
            end: local_time(end * 1000).chars().take(16).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_and_limits_share_one_scale() {
        let pace = [
            Pace { at: 0, bytes: 60 * 1024, held: 1, most: Some(4), rate: Some(2048), objects: 1 },
            Pace { at: 60, bytes: 120 * 1024, held: 2, most: Some(2), rate: None, objects: 1 },
        ];
        let rate = Chart::of_rate(&pace, Span::Minute, 0, 120);
        assert_eq!(rate.bars, [(0, 55, 359, 55), (360, 0, 359, 110)]);
        assert_eq!(rate.limits, [(0, 360, 0)]);
        assert_eq!((rate.top.as_str(), rate.limit), ("2.0 KiB/s", None));
        let load = Chart::of_load(&pace, Span::Minute, 0, 120);
        assert_eq!(load.limits, [(0, 360, 0), (360, 720, 55)]);
        assert_eq!(load.told, "Load on the source: at most 2 associations, the limit is 2 associations");
        let none = Chart::of_rate(&[], Span::Hour, 0, 3600);
        assert!(none.bars.is_empty() && none.told.ends_with("at most 0 B/s, no limit"), "{}", none.told);
        let huge = [Pace { at: 0, bytes: u64::MAX, ..Pace::default() }];
        assert_eq!(Chart::of_rate(&huge, Span::Minute, 0, 60).bars[0].3, 110);
    }
}
