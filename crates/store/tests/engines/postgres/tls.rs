//! The store speaks to the server that the operator named, or to nobody.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use opencpm_operations::port::{Store, StoreError};
use opencpm_servers::Postgres;
use opencpm_store::{PostgresOptions, PostgresStore};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::task::spawn_blocking;

use super::world::{Database, PATIENCE, Server};

/// The server's certificate is its own authority. Returns the file with it.
fn speak_tls(server: &Postgres) -> PathBuf {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let owner = fs::metadata(server.data()).unwrap();
    // It refuses a key that others can read.
    let write = |name: &str, text: String| {
        let file = server.data().join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
        file
    };
    let certificate = write("server.crt", cert.pem());
    write("server.key", signing_key.serialize_pem());
    server.sql("postgres", "ALTER SYSTEM SET ssl = on");
    server.sql("postgres", "SELECT pg_reload_conf()");
    certificate
}

async fn connect(
    database: &Database,
    host: &str,
    mode: &str,
    authority: &Path,
) -> Result<PostgresStore, StoreError> {
    let (server, name) = (database.server(), database.name());
    let url = format!("postgresql://{}@{host}:{}/{name}{mode}", server.user(), server.port());
    let options = PostgresOptions::parse(&url, Some(&server.password().into())).unwrap();
    PostgresStore::connect(&options.with_authority(authority.into())).await
}

/// How many of the store's connections everybody can read.
fn in_plain_text(database: &Database) -> String {
    let count = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE application_name = 'opencpm' AND NOT ssl";
    database.server().sql(database.name(), count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_spoken_to_when_its_authority_and_its_name_are_the_ones_asked_for() {
    let own = || Database::new(Server::Own(Box::new(Postgres::start())));
    let database = spawn_blocking(own).await.unwrap();
    let [foreign, missing] =
        ["other.crt", "none.crt"].map(|name| database.server().data().join(name));
    let other = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(&foreign, other.cert.pem()).unwrap();

    // Nobody is spoken to in plain text where TLS is asked for.
    assert!(connect(&database, "localhost", "?sslmode=verify-full", &foreign).await.is_err());

    let authority = speak_tls(database.server());
    let reloaded = async {
        loop {
            if let Ok(store) = connect(&database, "localhost", "", &authority).await {
                break store;
            }
        }
    };
    let store = tokio::time::timeout(PATIENCE, reloaded).await.unwrap();
    store.accounts().await.unwrap();
    assert_eq!(in_plain_text(&database), "0");
    store.close().await.unwrap();

    for (host, authority) in
        [("localhost", &foreign), ("localhost", &missing), ("127.0.0.1", &authority)]
    {
        let refused = connect(&database, host, "?sslmode=verify-full", authority).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{host} {authority:?}");
    }
}
