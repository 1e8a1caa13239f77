//! The plan against sources simulated in memory.

use std::collections::BTreeSet;

use super::*;

struct Study {
    uid: usize,
    date: Option<Date>,
    second: u32,
    modality: &'static str,
    patient: String,
}

#[derive(Default)]
struct Source {
    studies: Vec<Study>,
    cap: Option<usize>,
    says_so: bool,
    ignores_time: bool,
    hangs_on_time: bool,
    ignores_dates: bool,
    /// Takes `_` for any character and spaces for nothing, counts what it found so, and only then looks closer.
    like: bool,
}

impl Source {
    fn takes(&self, prefix: &str, patient: &str) -> bool {
        if !self.like {
            return patient.starts_with(prefix);
        }
        let mut rest = patient.chars();
        prefix.trim_end().chars().all(|p| rest.next().is_some_and(|c| p == '_' || p == c))
    }

    fn ask(&self, keys: &Keys) -> Vec<&Study> {
        self.studies
            .iter()
            .filter(|s| {
                let any = keys.range == DateRange::default() || self.ignores_dates;
                (any || s.date.is_some_and(|d| keys.range.contains(d)))
                    && (self.ignores_time || keys.time.is_none_or(|(a, b)| (a..=b).contains(&s.second)))
                    && keys.modality.as_deref().is_none_or(|m| m == s.modality)
                    && keys.prefix.as_deref().is_none_or(|p| self.takes(p, &s.patient))
            })
            .collect()
    }

    fn answer(&self, keys: &Keys, seen: &mut BTreeSet<usize>) -> (Answer, BTreeSet<usize>) {
        let hit = self.ask(keys);
        let cut = self.cap.is_some_and(|c| hit.len() > c);
        let exact = |s: &&Study| keys.prefix.as_deref().is_none_or(|p| s.patient.starts_with(p));
        let rows: Vec<_> = hit.into_iter().take(self.cap.unwrap_or(usize::MAX)).filter(exact).collect();
        let uids: BTreeSet<usize> = rows.iter().map(|s| s.uid).collect();
        seen.extend(&uids);
        let tm = |s: &Study| format!("{:02}{:02}{:02}", s.second / 3600, s.second / 60 % 60, s.second % 60);
        let answer = Answer {
            rows: rows.len(),
            distinct: uids.len(),
            outside_days: rows
                .iter()
                .filter(|s| s.date.is_some_and(|d| !keys.range.contains(d)) && keys.range != DateRange::default())
                .count(),
            outside_times: rows.iter().filter(|s| !keys.takes_time(&tm(s))).count(),
            untimed: 0,
            status: match () {
                () if self.hangs_on_time && keys.time.is_some() => None,
                () if cut && self.says_so => Some(Status(0xA700)),
                () => Some(Status::SUCCESS),
            },
            known: seen.len(),
        };
        (answer, uids)
    }

    /// Runs a whole plan; gives the studies found, the queries made and the windows that failed.
    fn enumerate(&self, bounds: DateRange, cap: Option<usize>) -> (BTreeSet<usize>, usize, usize) {
        let (mut plan, first) = Plan::new(bounds, day("20261122"), cap);
        let mut pending: Vec<Keys> = first;
        let (mut seen, mut queries, mut failed) = (BTreeSet::new(), 0, 0);
        while !pending.is_empty() {
            pending.sort_by_key(Keys::seq);
            let keys = pending.remove(0);
            let (whole, _) = self.answer(&keys, &mut seen);
            queries += 1;
            let mut judged = plan.answered(&keys, &whole);
            while let Judgement::Probe(parts) = judged {
                let mut union = BTreeSet::new();
                let answers: Vec<(Keys, Answer)> = parts
                    .into_iter()
                    .map(|part| {
                        let (answer, uids) = self.answer(&part, &mut seen);
                        union.extend(uids);
                        queries += 1;
                        (part, answer)
                    })
                    .collect();
                judged = plan.probed(&keys, &whole, &answers, union.len());
            }
            let Judgement::Done { verdict, next, .. } = judged else { unreachable!() };
            failed += usize::from(verdict == Verdict::Failed);
            let text = serde_json::to_string(&(&plan, &next)).unwrap();
            assert_eq!(serde_json::from_str::<(Plan, Vec<Keys>)>(&text).unwrap(), (plan.clone(), next.clone()));
            pending.extend(next);
            assert!(queries < 200_000, "the plan does not end");
        }
        (seen, queries, failed)
    }
}

fn day(text: &str) -> Date {
    Date::parse(text).unwrap()
}

fn studies(n: usize, of: impl Fn(usize) -> (Option<Date>, u32)) -> Vec<Study> {
    (0..n)
        .map(|uid| {
            let (date, second) = of(uid);
            Study {
                uid,
                date,
                second,
                modality: ["CT", "MR", "US"][uid % 3],
                patient: format!("P{:05}", uid * 7919 % 100_000),
            }
        })
        .collect()
}

#[test]
fn a_source_without_a_cap_is_listed_with_few_queries() {
    let source = Source {
        studies: studies(5000, |i| (Some(day("20261122").plus_days(-(i as i64))), 3600)),
        ..Source::default()
    };
    let (found, queries, failed) = source.enumerate(DateRange::default(), None);
    assert_eq!((found.len(), failed), (5000, 0));
    assert!(queries < 100, "{queries} queries");
}

#[test]
fn a_silent_cap_over_three_crowded_days_loses_nothing() {
    // 12,000 studies on three days behind a silent cap of 500 (quirk ).
    let of = |i: usize| (Some(day("20240301").plus_days((i % 3) as i64)), u32::try_from(i * 13 % 86_400).unwrap());
    for says_so in [false, true] {
        let source = Source { studies: studies(12_000, of), cap: Some(500), says_so, ..Source::default() };
        let (found, _, failed) = source.enumerate(DateRange::default(), None);
        assert_eq!((found.len(), failed), (12_000, 0), "says so: {says_so}");
    }
}

#[test]
fn an_odd_small_cap_is_found_out() {
    let source = Source {
        studies: studies(300, |i| (Some(day("20200101").plus_days((i * 9) as i64)), 60 * u32::try_from(i).unwrap())),
        cap: Some(7),
        ..Source::default()
    };
    let (found, _, failed) = source.enumerate(DateRange::default(), None);
    assert_eq!((found.len(), failed), (300, 0));
}

#[test]
fn a_day_over_the_cap_is_split_otherwise_when_time_is_of_no_use() {
    for (ignores_time, hangs_on_time) in [(true, false), (false, true)] {
        let source = Source {
            studies: studies(900, |_| (Some(day("20240301")), 100)),
            cap: Some(200),
            ignores_time,
            hangs_on_time,
            ..Source::default()
        };
        let (found, _, failed) = source.enumerate(DateRange::default(), Some(200));
        assert_eq!((found.len(), failed), (900, 0));
    }
}

#[test]
fn studies_without_a_date_and_in_the_future_are_found() {
    let of = |i: usize| match i % 10 {
        0 => (None, 0),
        1 => (Some(day("99991231")), 0),
        2 => (Some(day("20270101")), 0),
        3 => (Some(day("18000101")), 0),
        _ => (Some(day("20200101").plus_days(i as i64)), 7),
    };
    for cap in [None, Some(40)] {
        let source = Source { studies: studies(200, of), cap, ..Source::default() };
        assert_eq!(source.enumerate(DateRange::default(), None).0.len(), 200, "cap {cap:?}");
    }
}

#[test]
fn a_source_that_ignores_dates_is_listed_all_the_same() {
    let of = |i: usize| (Some(day("20200101").plus_days(i as i64)), 7);
    let source = Source { studies: studies(400, of), ignores_dates: true, ..Source::default() };
    assert_eq!(source.enumerate(DateRange::default(), None).0.len(), 400);
    let source = Source { studies: studies(400, of), ignores_dates: true, cap: Some(50), ..Source::default() };
    assert_eq!(source.enumerate(DateRange::default(), None).0.len(), 400);
}

#[test]
fn a_source_that_takes_an_underscore_for_a_wildcard_is_not_asked_for_ever() {
    // Orthanc's LimitFindResults counts what its database finds, before it compares the values themselves.
    let mut all = studies(300, |i| (Some(day("20200101").plus_days(i as i64)).filter(|_| i % 5 != 0), 7));
    all[0].patient = "A_1".into();
    all[5].patient = "_A 1".into();
    let source = Source { studies: all, cap: Some(10), says_so: true, like: true, ..Source::default() };
    let (found, queries, failed) = source.enumerate(DateRange::default(), None);
    assert_eq!((found.len(), failed), (300, 0));
    assert!(queries < 20_000, "{queries} queries");
}

#[test]
fn bounds_are_kept_and_the_newest_come_first() {
    let source =
        Source { studies: studies(1000, |i| (Some(day("20240101").plus_days(i as i64)), 9)), ..Source::default() };
    let range = DateRange { from: Some(day("20250101")), to: Some(day("20250131")) };
    assert_eq!(source.enumerate(range, None).0.len(), 31);
    let (mut plan, mut pending) = Plan::new(DateRange::default(), day("20261122"), None);
    let mut last = None;
    while let Some(keys) = pending.pop() {
        assert!(last.is_none() || keys.seq() > last.unwrap_or(i64::MIN), "older than the one before");
        last = Some(keys.seq());
        let empty = Answer {
            rows: 0,
            distinct: 0,
            outside_days: 0,
            outside_times: 0,
            untimed: 0,
            status: Some(Status::SUCCESS),
            known: 0,
        };
        if let Judgement::Done { next, .. } = plan.answered(&keys, &empty) {
            pending.extend(next);
        }
    }
}

#[test]
fn what_cannot_be_divided_is_said_to_have_failed() {
    // More studies of one patient ID at one second than the cap allows.
    let mut all = studies(60, |_| (Some(day("20240301")), 100));
    for s in &mut all {
        s.patient = "SAME".into();
        s.modality = "CT";
    }
    let source = Source { studies: all, cap: Some(25), ..Source::default() };
    let (_, _, failed) = source.enumerate(DateRange::default(), None);
    assert!(failed > 0);
}
