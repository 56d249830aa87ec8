use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A server of another kind that the service works with: its database or its broker.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Remote {
    /// Where it is and as whom; the embedded one unless given.
    pub(crate) url: Option<String>,
    /// The password's file: one line.
    pub(crate) password_file: Option<PathBuf>,
    /// Certificates (PEM) of the authorities that may have issued its certificate.
    pub(crate) ca: Option<PathBuf>,
}

/// What the settings of one kind of server are called, and what they may say.
pub(super) struct Rules {
    pub(super) url: &'static str,
    pub(super) password_file: &'static str,
    pub(super) ca: &'static str,
    pub(super) schemes: &'static [&'static str],
    pub(super) example: &'static str,
}

pub(super) const STORE: Rules = Rules {
    url: "store.url",
    password_file: "store.password_file",
    ca: "store.ca",
    schemes: &["postgresql", "postgres"],
    example: "postgresql://user@host/database",
};

pub(super) const QUEUE: Rules = Rules {
    url: "queue.url",
    password_file: "queue.password_file",
    ca: "queue.ca",
    schemes: &["amqps", "amqp"],
    example: "amqps://user@host/vhost",
};

impl Remote {
    /// The key that is wrong, and what was expected. Never a part of the URL: it may hold a
    /// password.
    pub(super) fn check(&self, rules: &Rules) -> Result<(), (&'static str, String)> {
        let Some(url) = &self.url else {
            let alone = |key| Err((key, format!("expected together with {}", rules.url)));
            return match (&self.password_file, &self.ca) {
                (Some(_), _) => alone(rules.password_file),
                (_, Some(_)) => alone(rules.ca),
                _ => Ok(()),
            };
        };
        let form = || (rules.url, format!("expected a URL such as {}", rules.example));
        let (scheme, rest) = url.split_once("://").ok_or_else(form)?;
        if !rules.schemes.contains(&scheme) {
            return Err(form());
        }
        if holds_password(rest) {
            let problem = format!(
                "a password in the URL would be shown and logged; put it into a file, and name \
                 the file as {}",
                rules.password_file
            );
            return Err((rules.url, problem));
        }
        Ok(())
    }
}

/// Behind the user's name, or as a parameter as libpq takes it.
fn holds_password(rest: &str) -> bool {
    let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = place.split('/').next().unwrap_or_default();
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    user.contains(':') || parameters.split('&').any(|one| one.starts_with("password="))
}

/// A file with a secret in one line.
pub(crate) fn secret_line(path: &Path) -> std::io::Result<secrecy::SecretString> {
    let text = zeroize::Zeroizing::new(std::fs::read_to_string(path)?);
    Ok(secrecy::SecretString::from(text.trim_end_matches(['\r', '\n'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(url: &str) -> Result<(), (&'static str, String)> {
        Remote { url: Some(url.to_owned()), ..Remote::default() }.check(&STORE)
    }

    #[test]
    fn a_password_in_the_url_is_refused_with_the_setting_that_takes_it_and_not_shown() {
        for url in [
            "postgresql://opencpm:s3cret@db/opencpm",
            "postgresql://opencpm:@db/opencpm",
            "postgres://opencpm@db/opencpm?sslmode=require&password=s3cret",
        ] {
            let (key, problem) = store(url).unwrap_err();
            assert_eq!(key, "store.url");
            assert!(problem.contains("store.password_file"), "{problem}");
            assert!(!problem.contains("s3cret"), "{problem}");
        }
    }

    #[test]
    fn a_url_without_a_password_is_taken_and_another_kind_is_not() {
        store("postgresql://opencpm@db:5432/opencpm?sslmode=verify-full").unwrap();
        store("postgresql://opencpm@[::1]:5432/opencpm").unwrap();
        for url in ["mysql://u@db/o", "amqp://u@mq", "db.example", ""] {
            assert_eq!(store(url).unwrap_err().0, "store.url");
        }
        let lonely = Remote { ca: Some("ca.pem".into()), ..Remote::default() };
        assert_eq!(lonely.check(&QUEUE).unwrap_err().0, "queue.ca");
    }
}
