//! Counts the instructions of the probes' loops: they do what they claim, and little else.

use tercet_cpu::DotProduct;

use super::super::probe;
use super::objdump;
use crate::emit::FAMILIES;
use crate::emit::probe::Loop;

/// Counts the loop's instructions: those named `mnemonic`, and all of them. `None` without objdump.
fn count(probe: &Loop, mnemonic: &str) -> Option<(usize, usize)> {
    let body = objdump::decode(&probe.emitted.code[probe.emitted.loop_body.clone()])?;
    let is_named = |text: &&String| text.split(' ').next() == Some(mnemonic);
    Some((body.iter().filter(is_named).count(), body.len()))
}

#[test]
fn a_reading_turn_loads_every_byte_it_counts() {
    const PAIR: usize = 32;
    const LINE: usize = 64;
    let probe = probe::read();
    let Some((loads, all)) = count(&probe, "ldp") else { return };
    let Some((prefetches, _)) = count(&probe, "prfm") else { return };
    assert_eq!((loads * PAIR, prefetches * LINE), (probe.per_turn, probe.per_turn));
    assert_eq!(all, loads + prefetches + 2, "counter, jump");
}

#[test]
fn a_turn_of_dot_products_computes_every_product_it_counts() {
    for family in &FAMILIES {
        let mnemonic = match family.dot {
            Some(DotProduct::Smlal) => "smlal",
            Some(DotProduct::Sdot) => "sdot",
            Some(DotProduct::Usmmla) => "usmmla",
            _ => continue,
        };
        let probe = (family.frame.dots.unwrap())();
        let Some((dots, all)) = count(&probe, mnemonic) else { return };
        assert_eq!(dots * family.dot.unwrap().multiply_adds(), probe.per_turn, "{}", family.isa);
        assert_eq!(all, dots + 2, "{}: counter, jump", family.isa);
    }
}
