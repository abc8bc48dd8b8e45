//! What the process gives: environment variables, and where metrics are written. Tests and the demo give their own.

use std::collections::HashMap;
use std::fmt;

/// The surroundings of the function.
#[derive(Clone)]
pub struct Environment {
    variables: Variables,
    /// What counts for more than the variables.
    overrides: HashMap<String, String>,
}

#[derive(Clone)]
enum Variables {
    Process,
    Given(HashMap<String, String>),
}

impl Environment {
    /// The environment of the process.
    #[must_use]
    pub fn process() -> Self {
        Self { variables: Variables::Process, overrides: HashMap::new() }
    }

    /// An environment of exactly these variables.
    pub fn of<K: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables: Variables::Given(variables), overrides: HashMap::new() }
    }

    /// This environment with another value of a variable, for whoever asks [`Environment::var`].
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.overrides.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The value of a variable. A value that is not Unicode counts as not set.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the replacement")]
    pub fn var(&self, name: &str) -> Option<String> {
        if let Some(value) = self.overrides.get(name) {
            return Some(value.clone());
        }
        match &self.variables {
            Variables::Process => std::env::var(name).ok(),
            Variables::Given(variables) => variables.get(name).cloned(),
        }
    }

    /// The value of a variable that counts as not set when it is blank, as templates leave optional ones.
    #[must_use]
    pub fn non_blank_var(&self, name: &str) -> Option<String> {
        self.var(name).filter(|value| !value.trim().is_empty())
    }

    /// Whether it is the environment of the process, and not one that was given.
    #[cfg(feature = "cli")]
    pub(crate) fn is_of_process(&self) -> bool {
        matches!(self.variables, Variables::Process)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets.
        f.write_str("Environment")
    }
}
