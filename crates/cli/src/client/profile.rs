//! Where the service is and who asks: a file, the environment, flags; later ones win.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;
use figment::Figment;
use figment::providers::{Format, Json, Serialized, Toml};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// Options of every command that asks the service.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Service")]
pub(crate) struct ProfileArgs {
    /// File with endpoint, ca, secret_id and secret_key (TOML), mode 0600
    #[arg(long, value_name = "FILE", env = "OPENCPM_PROFILE", global = true)]
    profile: Option<PathBuf>,
    /// Address of the API, such as https://cpm.example.com
    #[arg(long, value_name = "URL", env = "OPENCPM_ENDPOINT", global = true)]
    endpoint: Option<String>,
    /// Certificates (PEM) to trust instead of the system's
    #[arg(long, value_name = "FILE", env = "OPENCPM_CA", global = true)]
    ca: Option<PathBuf>,
    /// File with secret_id and secret_key (TOML or JSON), mode 0600
    #[arg(long, value_name = "FILE", env = "OPENCPM_CREDENTIALS", global = true)]
    credentials: Option<PathBuf>,
}

/// Where the service is and who asks.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    /// `https://host[:port]` or `http://host[:port]`.
    pub(crate) endpoint: String,
    /// Certificates to trust instead of the system's.
    pub(crate) ca: Option<PathBuf>,
    /// The public half of the key.
    pub(crate) secret_id: String,
    /// The secret half.
    pub(crate) secret_key: SecretString,
    /// Of a temporary key.
    pub(crate) token: Option<SecretString>,
}

/// The settings do not say whom to ask, or as whom.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProfileError {
    /// Not there, or not ours to read.
    #[error("the file {0} cannot be read")]
    Read(PathBuf, #[source] std::io::Error),
    /// Others can read the secret key.
    #[error("the file {0} holds a secret and others may read it: chmod 600 it")]
    Open(PathBuf),
    /// Not what was expected.
    #[error("the file {0} is not a profile")]
    Content(PathBuf, #[source] Box<figment::Error>),
    /// Neither file, environment nor flags say it.
    #[error("no {name} is known: give {how}")]
    Missing {
        /// What.
        name: &'static str,
        /// Where to say it.
        how: &'static str,
    },
}

impl ProfileArgs {
    /// Only a file.
    pub(crate) fn file(path: PathBuf) -> Self {
        Self { profile: Some(path), ..Self::default() }
    }

    /// Reads the files and the environment.
    pub(crate) fn load(&self) -> Result<Profile, ProfileError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        self.load_with(variable)
    }

    fn load_with(&self, env: impl Fn(&str) -> Option<String>) -> Result<Profile, ProfileError> {
        let mut all = match &self.profile {
            Some(path) => read(path)?.relative_to(path),
            None => ProfileFile::default(),
        };
        let environment = ProfileFile {
            secret_id: env("OPENCPM_SECRET_ID"),
            secret_key: env("OPENCPM_SECRET_KEY"),
            token: env("OPENCPM_TOKEN"),
            ..ProfileFile::default()
        };
        all = environment.over(all);
        if let Some(path) = &self.credentials {
            let file = read(path)?;
            let key = ProfileFile { endpoint: None, ca: None, ..file };
            all = key.over(all);
        }
        let flags = ProfileFile {
            endpoint: self.endpoint.clone(),
            ca: self.ca.clone(),
            ..ProfileFile::default()
        };
        flags.over(all).into_profile()
    }
}

impl Profile {
    /// The file's text.
    pub(crate) fn to_toml(&self) -> SecretString {
        let quoted = |text: &str| toml_text(text);
        let mut lines = format!("endpoint = {}\n", quoted(&self.endpoint));
        if let Some(ca) = &self.ca {
            lines.push_str(&format!("ca = {}\n", quoted(&ca.display().to_string())));
        }
        lines.push_str(&format!("secret_id = {}\n", quoted(&self.secret_id)));
        lines.push_str(&format!("secret_key = {}\n", quoted(self.secret_key.expose_secret())));
        if let Some(token) = &self.token {
            lines.push_str(&format!("token = {}\n", quoted(token.expose_secret())));
        }
        lines.into()
    }
}

/// A basic string of TOML.
fn toml_text(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// What a file may say.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ProfileFile {
    endpoint: Option<String>,
    ca: Option<PathBuf>,
    secret_id: Option<String>,
    secret_key: Option<String>,
    token: Option<String>,
}

impl ProfileFile {
    /// These values, the others' where there is none.
    fn over(self, other: Self) -> Self {
        Self {
            endpoint: self.endpoint.or(other.endpoint),
            ca: self.ca.or(other.ca),
            secret_id: self.secret_id.or(other.secret_id),
            secret_key: self.secret_key.or(other.secret_key),
            token: self.token.or(other.token),
        }
    }

    /// A certificate file beside the profile is named by its file name.
    fn relative_to(mut self, path: &Path) -> Self {
        let folder = path.parent().unwrap_or(Path::new(""));
        self.ca = self.ca.map(|ca| folder.join(ca));
        self
    }

    fn into_profile(self) -> Result<Profile, ProfileError> {
        let missing = |name, how| move || ProfileError::Missing { name, how };
        Ok(Profile {
            endpoint: self.endpoint.ok_or_else(missing("endpoint", "--endpoint or --profile"))?,
            ca: self.ca,
            secret_id: self.secret_id.ok_or_else(missing(
                "secret id",
                "--profile, --credentials or OPENCPM_SECRET_ID",
            ))?,
            secret_key: self.secret_key.map(SecretString::from).ok_or_else(missing(
                "secret key",
                "--profile, --credentials or OPENCPM_SECRET_KEY",
            ))?,
            token: self.token.map(SecretString::from),
        })
    }
}

fn read(path: &Path) -> Result<ProfileFile, ProfileError> {
    let unreadable = |error| ProfileError::Read(path.to_owned(), error);
    let mut file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.mode();
    if mode & 0o077 != 0 {
        return Err(ProfileError::Open(path.to_owned()));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unreadable)?;
    let empty = Figment::from(Serialized::defaults(ProfileFile::default()));
    let is_json = text.trim_start().starts_with('{');
    let all =
        if is_json { empty.merge(Json::string(&text)) } else { empty.merge(Toml::string(&text)) };
    all.extract().map_err(|error| ProfileError::Content(path.to_owned(), Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        crate::files::create_secret(&path, text).unwrap();
        path
    }

    fn no_variables(_: &str) -> Option<String> {
        None
    }

    const FILE: &str =
        "endpoint = \"https://a\"\nca = \"ca.pem\"\nsecret_id = \"f\"\nsecret_key = \"k\"\n";

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let args = ProfileArgs {
            profile: Some(secret(folder.path(), "p.toml", FILE)),
            endpoint: Some("https://flag".into()),
            ..ProfileArgs::default()
        };
        let env = |name: &str| (name == "OPENCPM_SECRET_ID").then(|| "env".to_owned());
        let profile = args.load_with(env).unwrap();
        assert_eq!(profile.endpoint, "https://flag");
        assert_eq!(profile.secret_id, "env");
        assert_eq!(profile.secret_key.expose_secret(), "k");
        assert_eq!(profile.ca, Some(folder.path().join("ca.pem")));
    }

    #[test]
    fn credentials_may_be_json() {
        let folder = tempfile::tempdir().unwrap();
        let json = r#"{"secret_id": "j", "secret_key": "s"}"#;
        let args = ProfileArgs {
            profile: Some(secret(folder.path(), "p.toml", FILE)),
            credentials: Some(secret(folder.path(), "c.json", json)),
            ..ProfileArgs::default()
        };
        let profile = args.load_with(no_variables).unwrap();
        assert_eq!((profile.endpoint.as_str(), profile.secret_id.as_str()), ("https://a", "j"));
    }

    #[test]
    fn a_profile_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = secret(folder.path(), "p.toml", FILE);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read(&path), Err(ProfileError::Open(_))));
    }

    #[test]
    fn a_wrong_key_in_the_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = secret(folder.path(), "p.toml", "endpoind = \"https://a\"\n");
        let Err(ProfileError::Content(_, error)) = read(&path) else { panic!("accepted") };
        assert!(error.to_string().contains("endpoind"), "{error}");
    }

    #[test]
    fn what_is_missing_is_said() {
        let error = ProfileArgs::default().load_with(no_variables).unwrap_err();
        assert!(error.to_string().contains("--endpoint"), "{error}");
    }

    #[test]
    fn a_written_profile_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.toml");
        let profile = Profile {
            endpoint: "https://a".into(),
            ca: Some("/with \"quotes\"/ca.pem".into()),
            secret_id: "id".into(),
            secret_key: "key".into(),
            token: Some("token".into()),
        };
        crate::files::create_secret(&path, profile.to_toml().expose_secret()).unwrap();
        let args = ProfileArgs { profile: Some(path), ..ProfileArgs::default() };
        let back = args.load_with(no_variables).unwrap();
        assert_eq!(back.ca, profile.ca);
        assert_eq!(back.secret_key.expose_secret(), "key");
        assert_eq!(back.token.unwrap().expose_secret(), "token");
    }
}
