//! Durations in words.

/// Formats a duration in its two largest units: `48 s`, `2 min 5 s`, `2 h 14 min`, `3 d 4 h`.
#[must_use]
pub fn format_duration(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let Some(first) = UNITS.iter().position(|(length, _)| seconds >= *length) else { return "0 s".to_owned() };
    let mut rest = seconds;
    let mut words = Vec::new();
    for (length, unit) in UNITS.iter().skip(first).take(2) {
        if rest >= *length {
            words.push(format!("{} {unit}", rest / length));
        }
        rest %= length;
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_said_by_its_two_largest_units() {
        let said: Vec<String> = [0, 48, 60, 125, 8_040, 7_205, 273_600].into_iter().map(format_duration).collect();
        assert_eq!(said, ["0 s", "48 s", "1 min", "2 min 5 s", "2 h 14 min", "2 h", "3 d 4 h"]);
    }
}
