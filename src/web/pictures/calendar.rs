//! The calendar of study dates: a bar a month, a cell a day.

use std::collections::BTreeMap;

use crate::catalog::DayTotals;
use crate::dicom::Date;

/// Years that are drawn; a source may claim dates of any century.
const YEARS: usize = 40;
/// The height of the longest bar, its width, and from one to the next.
const TALL: u64 = 30;
const WIDE: usize = 30;
const ROW: usize = 40;
/// Where the bars begin: the years stand before them.
const LEFT: usize = 56;
/// From one day's cell to the next.
const STEP: usize = 14;
/// How wide and tall it is.
const CELL: u64 = 12;
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A rectangle. Its kind is a class, and a pattern where colours alone would have to be told apart.
pub(super) struct Bar {
    pub(super) x: usize,
    pub(super) y: u64,
    pub(super) height: u64,
    pub(super) kind: &'static str,
}

/// A year of bars.
pub(super) struct Year {
    pub(super) name: String,
    pub(super) chosen: bool,
    /// Where its name stands.
    pub(super) base: usize,
    pub(super) bars: Vec<Bar>,
    /// What is said of a month where a pointer rests on it: its place and the words.
    pub(super) told: Vec<(usize, usize, String)>,
}

/// All months of a job.
pub(super) struct Months {
    pub(super) years: Vec<Year>,
    pub(super) earlier: usize,
    pub(super) undated: u64,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) heads: Vec<(usize, &'static str)>,
    pub(super) all: DayTotals,
}

/// One day.
pub(super) struct Cell {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) kind: &'static str,
    /// How much of it is hatched, from below, for what is not proven.
    pub(super) fallout: usize,
    pub(super) told: String,
}

/// The days of a year.
pub(super) struct Days {
    pub(super) year: i16,
    pub(super) cells: Vec<Cell>,
    pub(super) heads: Vec<(usize, &'static str)>,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) all: DayTotals,
    /// The same as a table.
    pub(super) months: Vec<(&'static str, DayTotals)>,
}

/// What a span of time is called by what has become of its studies.
fn words(name: &str, t: &DayTotals) -> String {
    let parts = [(t.proven, "proven"), (t.fallout, "not proven"), (t.pending, "to be done"), (t.apart, "left out")];
    let told: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    format!("{name}: {}", if told.is_empty() { "no studies".to_owned() } else { told.join(", ") })
}

/// What most of a day is like, what is not proven aside.
fn kind(t: &DayTotals) -> &'static str {
    match t {
        DayTotals { pending: 1.., proven: 1.., .. } => "partly",
        DayTotals { pending: 1.., .. } => "pending",
        DayTotals { proven: 1.., .. } => "proven",
        DayTotals { apart: 1.., .. } => "apart",
        _ => "none",
    }
}

/// The height of what is not proven in a cell: its share, and enough to be seen.
fn fallout(t: &DayTotals) -> usize {
    let share = t.fallout.saturating_mul(CELL) / t.total().max(1);
    if t.fallout == 0 { 0 } else { usize::try_from(share).unwrap_or(0).max(4) }
}

impl Months {
    pub(super) fn of(months: &[(String, DayTotals)], chosen: Option<i16>) -> Months {
        let mut years: BTreeMap<&str, BTreeMap<usize, DayTotals>> = BTreeMap::new();
        let (mut all, mut undated) = (DayTotals::default(), 0);
        for (name, totals) in months {
            all.add(totals);
            let month = name.get(4..6).and_then(|month| month.parse::<usize>().ok()).filter(|m| (1..=12).contains(m));
            match (name.get(..4), month) {
                (Some(year), Some(month)) => years.entry(year).or_default().entry(month - 1).or_default().add(totals),
                _ => undated += totals.total(),
            }
        }
        let most = years.values().flat_map(BTreeMap::values).map(DayTotals::total).max().unwrap_or(0).max(1);
        let earlier = years.len().saturating_sub(YEARS);
        let chosen = chosen.map(|year| format!("{year:04}")).unwrap_or_default();
        let rows = years.iter().rev().take(YEARS).enumerate();
        let years: Vec<Year> =
            rows.map(|(row, (name, months))| Year::of(row, name, months, most, *name == chosen)).collect();
        Months {
            height: 20 + years.len() * ROW,
            width: LEFT + 12 * (WIDE + 4),
            heads: MONTHS.iter().enumerate().map(|(month, name)| (left(month), *name)).collect(),
            years,
            earlier,
            undated,
            all,
        }
    }

    /// In a sentence, for those who do not see it.
    pub(super) fn told(&self) -> String {
        words("Studies by month", &self.all)
    }
}

fn left(month: usize) -> usize {
    LEFT + month * (WIDE + 4)
}

impl Year {
    fn of(row: usize, name: &str, months: &BTreeMap<usize, DayTotals>, most: u64, chosen: bool) -> Year {
        let base = 20 + row * ROW + 36;
        let mut year = Year { name: name.to_owned(), chosen, base, bars: Vec::new(), told: Vec::new() };
        for (month, totals) in months {
            let x = left(*month);
            let mut y = u64::try_from(base).unwrap_or(u64::MAX);
            let kinds = [
                (totals.proven, "proven"),
                (totals.apart, "apart"),
                (totals.pending, "pending"),
                (totals.fallout, "fallout"),
            ];
            for (count, kind) in kinds {
                // However few they are, they are seen.
                let height = if count == 0 { 0 } else { (count.saturating_mul(TALL) / most).max(2) };
                y = y.saturating_sub(height);
                if height > 0 {
                    year.bars.push(Bar { x, y, height, kind });
                }
            }
            let named = format!("{} {name}", MONTHS.get(*month).unwrap_or(&""));
            year.told.push((x, base.saturating_sub(36), words(&named, totals)));
        }
        year
    }
}

impl Days {
    pub(super) fn of(year: i16, days: &[(String, DayTotals)]) -> Days {
        let known: BTreeMap<&str, &DayTotals> = days.iter().map(|(day, totals)| (day.as_str(), totals)).collect();
        let mut made = Days {
            year,
            cells: Vec::new(),
            heads: Vec::new(),
            width: 0,
            height: 20 + 7 * STEP,
            all: DayTotals::default(),
            months: Vec::new(),
        };
        let Ok(first) = Date::parse(&format!("{year:04}0101")) else { return made };
        let (mut day, mut at) = (first, first.weekday());
        while day.year() == year {
            let name = day.to_string();
            let totals = known.get(name.as_str()).copied().copied().unwrap_or_default();
            let (x, y) = (at / 7 * STEP, 20 + at % 7 * STEP);
            if name.ends_with("01") {
                let month = MONTHS.get(made.months.len()).copied().unwrap_or_default();
                made.heads.push((x, month));
                made.months.push((month, DayTotals::default()));
            }
            if let Some((_, month)) = made.months.last_mut() {
                month.add(&totals);
            }
            made.all.add(&totals);
            made.cells.push(Cell {
                x,
                y,
                kind: kind(&totals),
                fallout: fallout(&totals),
                told: words(&day.iso(), &totals),
            });
            made.width = x + STEP;
            let next = day.plus_days(1);
            if next == day {
                break;
            }
            (day, at) = (next, at + 1);
        }
        made
    }

    /// In a sentence, for those who do not see it.
    pub(super) fn told(&self) -> String {
        words(&format!("Studies of {} by day", self.year), &self.all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(proven: u64, pending: u64, fallout: u64) -> DayTotals {
        DayTotals { proven, pending, fallout, apart: 0 }
    }

    #[test]
    fn a_year_has_a_cell_for_each_of_its_days_and_what_is_not_proven_shows() {
        let days = [("20240229".to_owned(), totals(5, 0, 1)), ("20241231".to_owned(), totals(1, 1, 0))];
        let made = Days::of(2024, &days);
        assert_eq!((made.cells.len(), made.months.len(), made.all.total()), (366, 12, 8));
        assert_eq!((made.cells[59].kind, made.cells[365].kind, made.cells[0].kind), ("proven", "partly", "none"));
        assert_eq!((made.cells[59].fallout, made.cells[365].fallout), (4, 0), "however few they are, they are seen");
        assert_eq!(fallout(&totals(0, 0, 9)), 12);
        assert_eq!(made.cells[59].told, "2024-02-29: 5 proven, 1 not proven");
        // 2024 began on a Monday.
        assert_eq!((made.cells[0].x, made.cells[0].y, made.cells[7].x), (0, 20, STEP));
        assert_eq!(Days::of(9999, &[]).cells.len(), 365, "the end of time");
    }

    #[test]
    fn months_are_as_tall_as_they_have_studies_and_few_are_seen_too() {
        let mut months = vec![("202401".to_owned(), totals(1000, 0, 1)), ("202312".to_owned(), totals(0, 500, 0))];
        months.push((String::new(), totals(0, 7, 0)));
        let made = Months::of(&months, Some(2023));
        assert_eq!((made.years.len(), made.undated, made.earlier), (2, 7, 0));
        assert_eq!((made.years[0].name.as_str(), made.years[1].chosen), ("2024", true));
        let bars: Vec<(&str, u64)> = made.years[0].bars.iter().map(|bar| (bar.kind, bar.height)).collect();
        assert_eq!(bars, [("proven", 29), ("fallout", 2)]);
        let many: Vec<_> = (1800..2000).map(|year| (format!("{year}05"), totals(1, 0, 0))).collect();
        assert_eq!(Months::of(&many, None).earlier, 160);
        assert!(Months::of(&[], None).years.is_empty());
    }
}
