//! The time zone in which people read times.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// The name is not in the time zone database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not the name of a time zone; write it like `Europe/Berlin`, or `UTC`")]
pub struct UnknownZone;

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// Finds a time zone by its name in the IANA database, which is part of the program.
    ///
    /// # Errors
    ///
    /// Returns an error, which does not repeat the name, when there is no such time zone.
    ///
    /// # Examples
    ///
    /// ```
    /// use media_expiry_alerts::model::Zone;
    ///
    /// let berlin = Zone::parse("Europe/Berlin")?;
    /// let expires_at = "2026-11-25T06:00:00Z".parse().expect("a time");
    /// assert_eq!(berlin.format(expires_at), "Wed 25 Nov 2026, 07:00 CET");
    /// assert!(Zone::parse("Europe/Atlantis").is_err());
    /// # Ok::<(), media_expiry_alerts::model::UnknownZone>(())
    /// ```
    pub fn parse(name: &str) -> Result<Self, UnknownZone> {
        TimeZone::get(name).ok().filter(|zone| !zone.is_unknown()).map(Self).ok_or(UnknownZone)
    }

    /// Formats a moment for people, to the minute: `Wed 25 Nov 2026, 07:00 CET`.
    ///
    /// Where the zone has no abbreviation, its offset stands instead: `Wed 25 Nov 2026, 10:00 +04:00`.
    #[must_use]
    pub fn format(&self, moment: Timestamp) -> String {
        self.strftime("%a %-d %b %Y, %H:%M", moment)
    }

    /// Formats a moment for a column of a table: `2026-11-25 07:00 CET`.
    #[must_use]
    pub fn format_short(&self, moment: Timestamp) -> String {
        self.strftime("%Y-%m-%d %H:%M", moment)
    }

    /// Returns the day on which a moment is.
    #[must_use]
    pub fn date(&self, moment: Timestamp) -> Date {
        self.0.to_datetime(moment).date()
    }

    /// Returns the name in the IANA database; `None` for a zone of this machine that has no such name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.iana_name()
    }

    fn strftime(&self, format: &str, moment: Timestamp) -> String {
        let info = self.0.to_offset_info(moment);
        let has_letters = info.abbreviation().starts_with(|first: char| first.is_ascii_alphabetic());
        let zone = if has_letters { "%Z" } else { "%:z" };
        moment.to_zoned_datetime(self.0.clone()).strftime(&format!("{format} {zone}")).to_string()
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl From<TimeZone> for Zone {
    fn from(zone: TimeZone) -> Self {
        Self(zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::parse(name).expect("a time zone")
    }

    fn time(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn a_time_has_the_abbreviation_of_its_zone_or_the_offset() {
        let check = |name: &str, expected: &str| {
            assert_eq!(zone(name).format(time("2026-11-25T06:00:48Z")), expected);
        };
        check("UTC", "Wed 25 Nov 2026, 06:00 UTC");
        check("Europe/Berlin", "Wed 25 Nov 2026, 07:00 CET");
        check("America/New_York", "Wed 25 Nov 2026, 01:00 EST");
        check("Asia/Kolkata", "Wed 25 Nov 2026, 11:30 IST");
        check("Asia/Dubai", "Wed 25 Nov 2026, 10:00 +04:00");
        check("Asia/Kathmandu", "Wed 25 Nov 2026, 11:45 +05:45");
        check("America/Sao_Paulo", "Wed 25 Nov 2026, 03:00 -03:00");
        assert_eq!(zone("Asia/Tokyo").format_short(time("2026-11-25T18:00:00Z")), "2026-11-26 03:00 JST");
    }

    #[test]
    fn the_hours_of_a_clock_change_read_right() {
        let check = |moment: &str, expected: &str| assert_eq!(zone("Europe/Berlin").format(time(moment)), expected);
        // From three to two o'clock: the hour before three happens twice.
        check("2026-10-25T00:30:00Z", "Sun 25 Oct 2026, 02:30 CEST");
        check("2026-10-25T01:30:00Z", "Sun 25 Oct 2026, 02:30 CET");
        // From two to three o'clock: the hour after two does not exist.
        check("2026-03-29T00:59:59Z", "Sun 29 Mar 2026, 01:59 CET");
        check("2026-03-29T01:30:00Z", "Sun 29 Mar 2026, 03:30 CEST");
    }

    #[test]
    fn a_day_begins_at_midnight_of_the_zone() {
        let late = time("2026-11-25T23:30:00Z");
        let days = ["UTC", "Europe/Berlin", "America/New_York"].map(|name| zone(name).date(late).day());
        assert_eq!(days, [25, 26, 25]);
    }

    #[test]
    fn only_names_of_time_zones_are_accepted() {
        for name in ["", " ", "Etc/Unknown", "Europe/Atlantis", "+02:00", "../etc/passwd", "Europe/Berlin\n", "CEST\0"]
        {
            assert_eq!(Zone::parse(name), Err(UnknownZone), "{name:?}");
        }
        assert_eq!(zone("UTC"), Zone::UTC);
        assert_eq!((zone("Europe/Berlin").name(), Zone::UTC.name()), (Some("Europe/Berlin"), Some("UTC")));
    }

    #[test]
    fn a_zone_of_the_machine_keeps_its_name() {
        assert_eq!(Zone::from(zone("Europe/Berlin").0).name(), Some("Europe/Berlin"));
    }
}
