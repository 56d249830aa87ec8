//! What the broker is told, and what comes of what it is made to say.

use crate::a_writer::attack::Attack;

/// Somebody listens to every gateway, says what he likes to each, and learns ids.
pub(crate) fn nothing_but_ids_is_told(attack: &mut Attack) {
    let done = attack.reset(0);
    let gateways = attack.sql("SELECT encode(id, 'hex') FROM gateway");
    let ids = attack.sql(&format!("SELECT encode(id, 'hex') FROM job WHERE task = {done}"));
    let ids: Vec<u8> = opencpm_domain::hex_to_bytes(&ids).unwrap();
    let Attack { stranger, runtime, deployment, .. } = &*attack;
    let queues: Vec<String> = runtime.block_on(async {
        let mut queues = Vec::new();
        for gateway in gateways.lines() {
            queues.push(stranger.listen(deployment, gateway).await);
        }
        queues
    });
    let before = attack.hashes();
    let again = [&[1], &ids[..]].concat();
    let unknown = [1; 17];
    let many = again.iter().copied().chain([7; 16_000]).collect::<Vec<_>>();
    let huge = vec![1; 4 << 20];
    let garbage: [&[u8]; 6] = [b"set root's password", b"", &unknown, &many, &huge, &again];
    runtime.block_on(async {
        for gateway in gateways.lines() {
            for message in garbage.into_iter().chain([&again[..], &again]) {
                stranger.publish(deployment, gateway, message).await;
            }
        }
    });
    // Neither is anything done, nor does it keep what was asked for from being done.
    assert_eq!(attack.hashes(), before);
    let tasks: Vec<u64> = (0..4).map(|round| attack.reset(round % 2)).collect();
    let list = tasks.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let jobs = attack.sql(&format!("SELECT encode(id, 'hex') FROM job WHERE task IN ({list})"));
    let heard = heard(attack, &queues);
    let ours: Vec<_> = heard.iter().filter(|message| !garbage.contains(&&message[..])).collect();
    assert!(!ours.is_empty(), "nothing was heard");
    for message in ours {
        let (version, ids) = message.split_first().unwrap();
        let (ids, rest) = ids.as_chunks::<16>();
        assert!(*version == 1 && rest.is_empty() && !ids.is_empty(), "{message:?}");
        for id in ids {
            assert!(jobs.contains(&opencpm_domain::to_hex(id)), "{message:?}");
        }
    }
}

fn heard(attack: &Attack, queues: &[String]) -> Vec<Vec<u8>> {
    attack.runtime.block_on(async {
        let mut heard = Vec::new();
        for queue in queues {
            while let Some(message) = attack.stranger.next(queue).await {
                heard.push(message.data);
            }
        }
        heard
    })
}
