//! Makes sure that erased sealed passwords are gone from the files, not only from the tables.
//!
//! SQLite overwrites what is deleted (`secure_delete`), but a row that moved to another page while
//! it lived may have left a copy in the old page. So the small table of sealed passwords is
//! written anew: emptying it overwrites all of its pages. Then the write-ahead log, which still
//! has the pages of before, is carried over into the file and cut off.

use opencpm_operations::port::StoreError;

use super::writer::Writer;
use crate::engine::Outcome;
use crate::session::{Meter, Session};
use crate::statement::query;

/// False when a reader still needs the old pages: to be tried again.
pub(super) async fn scrub(writer: &Writer, meter: &Meter) -> Result<bool, StoreError> {
    if !meter.has_remains() {
        return Ok(true);
    }
    let result = rewrite_and_cut(writer).await;
    if !matches!(result, Ok(true)) {
        meter.set_remains(true);
    }
    result
}

async fn rewrite_and_cut(writer: &Writer) -> Result<bool, StoreError> {
    writer.write(|session| Box::pin(rewrite(session))).await?;
    // Its first column tells whether somebody was in the way.
    Ok(writer.between("PRAGMA wal_checkpoint(TRUNCATE)").await? == 0)
}

async fn rewrite(session: &mut Session) -> Result<Outcome<()>, StoreError> {
    // What is erased after this statement raises it again: the writer does one after the other.
    session.meter().set_remains(false);
    // The temporary table is in memory.
    session.run(query("CREATE TEMP TABLE kept AS SELECT * FROM sealed")).await?;
    // Without a condition SQLite frees whole pages, and overwrites each.
    session.run(query("DELETE FROM sealed")).await?;
    let back = "INSERT INTO sealed (job, enc, ciphertext)
         SELECT job, enc, ciphertext FROM temp.kept ORDER BY job";
    session.run(query(back)).await?;
    session.run(query("DROP TABLE temp.kept")).await?;
    Ok(Outcome::Keep(()))
}
