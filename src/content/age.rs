//! Patient's Age (0010,1010), computed anew when the patient is another one.

use crate::dicom::Date;

/// From this many years on an age is told in years.
const YEARS: i64 = 2;
/// From this many days on it is told in months.
const MONTHS_FROM_DAYS: i64 = 62;

/// The AS value of somebody born on the one day, on the other; `None` where one of them is no date, or birth comes
/// after it. An age that does not fit is told as 999 years.
pub(super) fn age(birth: Option<&str>, day: Option<&str>) -> Option<String> {
    let (birth, day) = (Date::parse(birth?).ok()?, Date::parse(day?).ok()?);
    let days = birth.days_until(day);
    let months = birth.months_until(day);
    match (days, months / 12) {
        (..0, _) => None,
        (_, years @ YEARS..) => Some(format!("{:03}Y", years.min(999))),
        (MONTHS_FROM_DAYS.., _) => Some(format!("{months:03}M")),
        _ => Some(format!("{days:03}D")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_days_then_months_then_years() {
        let age = |birth, day| age(Some(birth), Some(day));
        for (birth, day, expected) in [
            ("20200101", "20200101", "000D"),
            ("20200101", "20200302", "061D"),
            ("20200101", "20200303", "002M"),
            ("20200131", "20211231", "023M"),
            ("20200131", "20220130", "023M"),
            ("20200131", "20220131", "002Y"),
            ("20000229", "20210228", "020Y"),
            ("20000229", "20210301", "021Y"),
            ("1956.03.04", "20211117", "065Y"),
            ("18000101", "29990101", "999Y"),
        ] {
            assert_eq!(age(birth, day).as_deref(), Some(expected), "{birth} {day}");
        }
    }

    #[test]
    fn without_two_days_in_order_there_is_no_age() {
        assert_eq!(age(Some("20200102"), Some("20200101")), None);
        assert_eq!(age(Some("1956"), Some("20200101")), None);
        assert_eq!(age(None, Some("20200101")), None);
        assert_eq!(age(Some("19560304"), None), None);
    }
}
