//! Answers that are to make a client believe in a success.

use crate::a_writer::attack::{Attack, LIMIT};

/// Whoever owns the database has it answer for one task with the rows of another: each of them is
/// authentic.
pub(crate) fn another_task_does_not_answer(attack: &mut Attack) {
    let good = attack.reset(0);
    let failed = attack.intercepted(&[0], |attack, _| {
        attack.sql("UPDATE sealed SET ciphertext = set_byte(ciphertext, 0, 0 # get_byte(enc, 0))");
    });
    attack.is_failure(&failed[0], "seal_invalid");
    let bad: u64 = attack.sql("SELECT max(id) FROM task").parse().unwrap();
    attack.sql(&format!(
        "CREATE SCHEMA evil;
         CREATE FUNCTION evil.same(a bigint, b bigint) RETURNS boolean LANGUAGE sql AS
             $$ SELECT pg_catalog.int8eq(a, CASE WHEN pg_catalog.int8eq(b, {bad}) THEN {good}
                                                 ELSE b END) $$;
         CREATE OPERATOR evil.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.same);
         ALTER DATABASE opencpm SET search_path = evil, pg_catalog, public"
    ));
    attack.cut_off_the_service();
    let id = bad.to_string();
    let told = opencpm_tests::eventually("an answer", LIMIT, || {
        let asked = [("taskId", id.as_str())];
        let answer = attack.nodes.client(0).try_call("DescriptionOperationResult", &asked).ok()?;
        // The connections that were cut off are not all found at once.
        let cut = answer["code"] == 9001 && !attack.nodes.said().contains("jobs of another task");
        (!cut).then_some(answer)
    });
    assert_ne!(told["data"]["status"], 1, "{told}");
    attack.sql("ALTER DATABASE opencpm RESET search_path; DROP SCHEMA evil CASCADE");
    attack.cut_off_the_service();
}
