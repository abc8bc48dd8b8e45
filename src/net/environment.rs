//! Environment variables: those of the process, or a fixed set for tests and the demo.

use std::collections::HashMap;
use std::fmt;

/// The source of environment variables.
#[derive(Clone)]
pub struct Environment {
    variables: Variables,
    /// Values that take precedence over the variables.
    overrides: HashMap<String, String>,
}

#[derive(Clone)]
enum Variables {
    Process,
    Fixed(HashMap<String, String>),
}

impl Environment {
    /// Returns the environment of the process.
    #[must_use]
    pub fn process() -> Self {
        Self { variables: Variables::Process, overrides: HashMap::new() }
    }

    /// Returns an environment that has exactly these variables.
    pub fn of<K: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables: Variables::Fixed(variables), overrides: HashMap::new() }
    }

    /// Returns this environment with another value for one variable.
    ///
    /// Only [`Environment::var`] and [`Environment::non_blank_var`] see it. The environment of the process stays as it is.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.overrides.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Returns the value of a variable. A value that is not Unicode counts as not set.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "every other module reads variables through this method")]
    pub fn var(&self, name: &str) -> Option<String> {
        if let Some(value) = self.overrides.get(name) {
            return Some(value.clone());
        }
        match &self.variables {
            Variables::Process => std::env::var(name).ok(),
            Variables::Fixed(variables) => variables.get(name).cloned(),
        }
    }

    /// Returns the value of a variable unless it is blank. Deployment templates set unused optional variables to nothing.
    #[must_use]
    pub fn non_blank_var(&self, name: &str) -> Option<String> {
        self.var(name).filter(|value| !value.trim().is_empty())
    }

    /// Returns whether this is the environment of the process, and not a fixed one.
    #[cfg(feature = "cli")]
    pub(crate) fn is_of_process(&self) -> bool {
        matches!(self.variables, Variables::Process)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The values may be secrets.
        f.write_str("Environment")
    }
}
