use std::fmt::Write as _;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use rustix::process::Signal;

use crate::daemon::{Daemon, Plan, mortal};
use crate::place::{Place, free_port};

/// The server's one user, a superuser.
const USER: &str = "opencpm";
/// Its password.
const PASSWORD: &str = "postgres-of-a-test";

/// What is special about one server.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// Where its data is kept, such as on a small file system of its own; a scratch folder unless
    /// given. Must be empty. It is handed over to the user that runs the server.
    pub data: Option<PathBuf>,
    /// Lines for postgresql.conf, after our own.
    pub settings: Vec<(String, String)>,
}

/// A PostgreSQL server.
pub struct Postgres {
    daemon: Daemon,
    data: PathBuf,
    psql: Psql,
    _place: Place,
}

/// What its client needs to reach it over the local socket.
#[derive(Clone)]
struct Psql {
    program: PathBuf,
    user: Option<(u32, u32)>,
    socket: PathBuf,
    port: u16,
}

impl Postgres {
    /// The server that all tests of this process share. Each makes a database of its own there.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A server of one's own. Nothing is written through to the disk: no test cuts the power.
    pub fn start() -> Self {
        let quick = ("fsync".to_owned(), "off".to_owned());
        Self::start_with(PostgresOptions { settings: vec![quick], ..PostgresOptions::default() })
    }

    /// The same, with options. Returns when it answers.
    pub fn start_with(options: PostgresOptions) -> Self {
        let place = Place::new();
        let programs = programs();
        // It refuses to run as root.
        let user = rustix::process::geteuid().is_root().then(server_user);
        let data = options.data.clone().unwrap_or_else(|| place.folder("data"));
        if let Some((user, group)) = user {
            place.give_to(user, group);
            std::os::unix::fs::chown(&data, Some(user), Some(group)).expect("our own folder");
        }
        let password = place.file("password", PASSWORD);
        std::fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .expect("our own file");
        let mut initdb = mortal(programs.join("initdb"), user);
        initdb.arg("--pgdata").arg(&data).arg("--pwfile").arg(&password);
        initdb.args(["--username", USER, "--auth-local=trust", "--auth-host=scram-sha-256"]);
        initdb.args(["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]);
        succeed(&mut initdb);
        let port = free_port();
        write_settings(&data, place.path(), port, &options.settings);
        let command = {
            let (server, data) = (programs.join("postgres"), data.clone());
            move || {
                let mut command = mortal(&server, user);
                command.arg("-D").arg(&data).current_dir("/");
                command
            }
        };
        let psql =
            Psql { program: programs.join("psql"), user, socket: place.path().to_owned(), port };
        let asked = psql.clone();
        let daemon = Daemon::start(Plan {
            name: "PostgreSQL",
            log: place.path().join("log"),
            command: Box::new(command),
            answers: Box::new(move || asked.run("postgres", "SELECT 1").status.success()),
        });
        Self { daemon, data, psql, _place: place }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.psql.port
    }

    /// Where its files are.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The name of its user.
    pub fn user(&self) -> &'static str {
        USER
    }

    /// The user's password: connections over TCP need it.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// The address of a database, without the password.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://{USER}@127.0.0.1:{}/{database}", self.psql.port)
    }

    /// Runs SQL as the superuser over the local socket, and returns the rows, fields apart by `|`.
    /// Panics with what the server says when it fails.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let output = self.psql.run(database, sql);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {said}{}", self.log());
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Makes a database, as a copy of another one where a template is named.
    pub fn create_database(&self, name: &str, template: Option<&str>) {
        let template = template.map(|name| format!(" TEMPLATE {name}")).unwrap_or_default();
        self.sql("postgres", &format!("CREATE DATABASE {name}{template}"));
    }

    /// Stops it in good order; connections are cut.
    pub fn stop(&mut self) {
        self.daemon.end(Signal::INT);
    }
}

/// A server is its process.
impl Deref for Postgres {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

impl DerefMut for Postgres {
    fn deref_mut(&mut self) -> &mut Daemon {
        &mut self.daemon
    }
}

impl Psql {
    fn run(&self, database: &str, sql: &str) -> Output {
        let mut psql = mortal(&self.program, self.user);
        psql.arg("--host").arg(&self.socket).args(["--port", &self.port.to_string()]);
        psql.args(["--username", USER, "--dbname", database, "--no-psqlrc", "--quiet"]);
        psql.args(["--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--command", sql]);
        psql.stdin(Stdio::null()).current_dir("/").output().expect("psql starts")
    }
}

/// Debian keeps each version apart and none in the path. The newest one is taken.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.map(|entry| entry.path()).max_by_key(number);
    newest.expect("Debian's package postgresql is installed").join("bin")
}

/// Debian's user for the server.
fn server_user() -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").expect("the system's users");
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let mut fields = line.expect("the user postgres").split(':').skip(2).map(str::parse);
    match (fields.next(), fields.next()) {
        (Some(Ok(user)), Some(Ok(group))) => (user, group),
        other => panic!("the user postgres has no numbers: {other:?}"),
    }
}

fn write_settings(data: &Path, socket: &Path, port: u16, settings: &[(String, String)]) {
    let mut text = format!(
        "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{}'\n\
         max_connections = 200\nshared_buffers = '64MB'\n",
        socket.display()
    );
    for (name, value) in settings {
        writeln!(text, "{name} = '{value}'").expect("a string takes any text");
    }
    std::fs::write(data.join("postgresql.auto.conf"), text).expect("our own folder");
}

fn succeed(command: &mut Command) {
    let output = command.stdin(Stdio::null()).current_dir("/").output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
