//! Repeated measurements of one figure.

/// The same figure, measured several times.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// The median.
    pub fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        match self.0.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => self.0[middle],
            _ => f64::midpoint(self.0[middle - 1], self.0[middle]),
        }
    }

    /// The smallest and the largest sample.
    pub fn spread(&self) -> (f64, f64) {
        let at = |index: usize| self.0.get(index).copied().unwrap_or(f64::NAN);
        (at(0), at(self.0.len().saturating_sub(1)))
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(samples: I) -> Self {
        let mut samples: Vec<_> = samples.into_iter().collect();
        samples.sort_by(f64::total_cmp);
        Self(samples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_the_middle_two() {
        let of = |samples: &[f64]| {
            let samples: Samples = samples.iter().copied().collect();
            (samples.median(), samples.spread())
        };
        assert_eq!(of(&[3.0, 1.0, 2.0]), (2.0, (1.0, 3.0)));
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]), (2.5, (1.0, 4.0)));
        assert!(Samples::default().median().is_nan());
    }
}
