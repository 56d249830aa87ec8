//! Where a command puts a secret: a file for its owner only, or standard output on request.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::{files, output};

/// The value of an `--out` option: a file that does not exist yet, or `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SecretOut {
    /// A new file, mode 0600.
    File(PathBuf),
    /// Standard output.
    Terminal,
}

/// The secret could not be put there.
#[derive(Debug, thiserror::Error)]
#[error("the secret cannot be written to {}", .0.display())]
pub(crate) struct SecretOutError(PathBuf, #[source] std::io::Error);

impl From<std::ffi::OsString> for SecretOut {
    fn from(text: std::ffi::OsString) -> Self {
        if text == "-" { Self::Terminal } else { Self::File(text.into()) }
    }
}

impl SecretOut {
    /// Fails when the place is taken, before anything is asked of the service.
    pub(crate) fn check(&self) -> Result<(), SecretOutError> {
        match self {
            Self::File(path) if path.symlink_metadata().is_ok() => {
                Err(SecretOutError(path.clone(), std::io::ErrorKind::AlreadyExists.into()))
            }
            _ => Ok(()),
        }
    }

    /// Puts the text there, and says where.
    pub(crate) fn put(&self, what: &str, text: &SecretString) -> Result<(), SecretOutError> {
        match self {
            Self::Terminal => output::try_line(text.expose_secret().trim_end())
                .map_err(|error| SecretOutError("standard output".into(), error))?,
            Self::File(path) => {
                let line = SecretString::from(format!("{}\n", text.expose_secret().trim_end()));
                files::create_secret(path, line.expose_secret())
                    .map_err(|error| SecretOutError(path.clone(), error))?;
                output::hint(&format!("{what} is in {} (mode 0600)", path.display()));
            }
        }
        Ok(())
    }

    /// As [`Self::put`], with the answer that the secret came in, in JSON: on standard output the
    /// whole of it instead of the text, beside a file without the fields that are secret.
    pub(crate) fn put_with_answer(
        &self,
        what: &str,
        text: &SecretString,
        (mut answer, secrets): (Value, &[&str]),
    ) -> Result<(), SecretOutError> {
        if *self == Self::Terminal {
            return self.put(what, &output::json_text(&answer).into());
        }
        self.put(what, text)?;
        if let Some(fields) = answer.as_object_mut() {
            secrets.iter().for_each(|secret| drop(fields.remove(*secret)));
        }
        output::json(&answer);
        Ok(())
    }

    /// Removes the file again: what was put there came to nothing.
    pub(crate) fn take_back(&self) {
        if let Self::File(path) = self {
            remove(path);
        }
    }
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(%error, file = %path.display(), "cannot be removed");
    }
}
