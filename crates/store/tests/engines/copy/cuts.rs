//! A copy that does not come to its end leaves nothing, and can be made again.

use opencpm_operations::port::StoreError;
use opencpm_store::CopyError;
use sqlx::Executor;

use super::world::Move;
use crate::postgres::world::awaited_by;

/// The last table of all waits for a lock.
const HALT: &str = "
    CREATE FUNCTION halt() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END $$;
    CREATE TRIGGER halt BEFORE INSERT ON sealed FOR EACH ROW EXECUTE FUNCTION halt();";

async fn nothing_is_left_and_it_can_be_made_again(moving: &Move) {
    assert!(moving.is_empty());
    moving.serve_file().await.unwrap().close().await.unwrap();
    moving.copy().await.unwrap();
    assert!(!moving.is_empty());
}

#[tokio::test]
async fn a_copy_that_is_killed_leaves_nothing_in_the_database_and_no_mark_in_the_file() {
    let moving = Move::new().await;
    moving.postgres(HALT);
    let mut holder = moving.database.behind_its_back().await;
    holder.execute("SELECT pg_advisory_lock(1)").await.unwrap();
    tokio::select! {
        ended = moving.copy() => panic!("{ended:?}"),
        () = awaited_by(&mut holder, 1) => {}
    }
    holder.execute("SELECT pg_advisory_unlock(1)").await.unwrap();
    nothing_is_left_and_it_can_be_made_again(&moving).await;
}

#[tokio::test]
async fn a_copy_that_loses_its_server_leaves_nothing_in_the_database_and_no_mark_in_the_file() {
    let moving = Move::new().await;
    moving.postgres(HALT);
    let mut holder = moving.database.behind_its_back().await;
    holder.execute("SELECT pg_advisory_lock(1)").await.unwrap();
    let cut = async {
        awaited_by(&mut holder, 1).await;
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_locks
             WHERE locktype = 'advisory' AND NOT granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        holder.execute(cut).await.unwrap();
        holder.execute("SELECT pg_advisory_unlock(1)").await.unwrap();
    };
    let (copied, ()) = futures_util::future::join(moving.copy(), cut).await;
    assert!(matches!(copied, Err(CopyError::Target(StoreError::Unavailable(_)))), "{copied:?}");
    nothing_is_left_and_it_can_be_made_again(&moving).await;
}

#[tokio::test]
async fn a_row_that_is_not_read_back_as_it_was_sent_is_found_before_the_commit() {
    for change in ["NEW.attempts = NEW.attempts + 1; RETURN NEW", "RETURN NULL"] {
        let moving = Move::new().await;
        moving.postgres(&format!(
            "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {change}; END $$;
             CREATE TRIGGER spoil BEFORE INSERT ON job FOR EACH ROW
                WHEN (NEW.status = 1 AND NEW.instance = 'cpm-b') EXECUTE FUNCTION spoil();"
        ));
        let refused = moving.copy().await.unwrap_err();
        assert!(matches!(&refused, CopyError::Differs(table) if table == "job"), "{refused}");
        moving.postgres("DROP TRIGGER spoil ON job");
        nothing_is_left_and_it_can_be_made_again(&moving).await;
    }
}

/// The file is marked, the database is empty: no service starts on either's past twice.
#[tokio::test]
async fn a_copy_whose_commit_fails_can_be_made_again_while_the_file_is_kept_from_services() {
    let moving = Move::new().await;
    moving.postgres(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN RAISE 'not now'; END $$;
         CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON sealed DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION refuse();",
    );
    let refused = moving.copy().await.unwrap_err();
    assert!(matches!(refused, CopyError::Unknown(_)), "{refused}");
    assert!(moving.is_empty());
    assert!(moving.serve_file().await.is_err());
    moving.postgres("DROP TRIGGER refuse ON sealed");
    moving.copy().await.unwrap();
    assert!(!moving.is_empty());
}
