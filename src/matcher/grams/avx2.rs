//! Eight windows at once, where the processor can look up eight places of a table in one go (AVX2).
//!
//! The one place of the matcher with `unsafe`: an instruction that reads memory at computed places. The places are below
//! the length of the tables for the reasons given beside it; that its answer is that of the plain way is tested.

#![expect(unsafe_code, reason = "the gathering load")]

use std::arch::x86_64::*;

use super::cells::{Pairs, SPREAD, TURN};
use super::{BLOCK, WINDOWS};

/// The windows of a block that may be of a literal, a bit each.
#[inline]
#[target_feature(enable = "avx2")]
pub fn candidates<const ROWS: u32, const PAIRS: bool>(rows: &[u32], pairs: &Pairs, block: &[u8; BLOCK]) -> u32 {
    assert!(rows.len() == 1 << ROWS);
    let mut found = 0;
    for half in 0..WINDOWS / 8 {
        let bits = eight_windows::<ROWS, PAIRS>(rows, pairs, &block[16 * half..]);
        found |= bits << (8 * half);
    }
    found
}

#[inline]
#[target_feature(enable = "avx2")]
fn eight_windows<const ROWS: u32, const PAIRS: bool>(rows: &[u32], pairs: &Pairs, bytes: &[u8]) -> u32 {
    let Some(bytes) = bytes.first_chunk::<24>() else { return u32::MAX };
    // SAFETY: sixteen bytes from 0 and from 8 on are within the 24.
    let (low, high) = unsafe { (_mm_loadu_si128(bytes.as_ptr().cast()), _mm_loadu_si128(bytes[8..].as_ptr().cast())) };
    let every_second = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7, 6, 7, 8, 9));
    let windows = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), every_second);
    let hashes = _mm256_mullo_epi32(_mm256_srli_epi32::<8>(windows), _mm256_set1_epi32(SPREAD as i32));
    let row = _mm256_srlv_epi32(hashes, _mm256_set1_epi32(32 - ROWS as i32));
    // SAFETY: a place is what is left of 32 bits when all but `ROWS` are shifted out; there are 2^ROWS rows, which the
    // caller asserts.
    let found = unsafe { _mm256_i32gather_epi32::<4>(rows.as_ptr().cast(), row) };
    let turned = _mm256_xor_si256(_mm256_srli_epi32::<{ TURN as i32 }>(hashes), windows);
    let mut bits = _mm256_srlv_epi32(found, _mm256_and_si256(turned, _mm256_set1_epi32(31)));
    if PAIRS {
        let middle = _mm256_and_si256(_mm256_srli_epi32::<8>(windows), _mm256_set1_epi32(0xff));
        // SAFETY: a place is one byte, and there are 256.
        let sides = unsafe { _mm256_i32gather_epi32::<4>(pairs.as_ptr().cast(), middle) };
        let nibble = _mm256_set1_epi32(15);
        let before = _mm256_srlv_epi32(sides, _mm256_and_si256(windows, nibble));
        let place = _mm256_and_si256(_mm256_srli_epi32::<16>(windows), nibble);
        let behind = _mm256_srlv_epi32(_mm256_srli_epi32::<16>(sides), place);
        bits = _mm256_or_si256(bits, _mm256_or_si256(before, behind));
    }
    _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_slli_epi32::<31>(bits))) as u32
}
