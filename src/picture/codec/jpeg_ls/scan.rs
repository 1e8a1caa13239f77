//! The context modelling and the codes of a scan (ITU-T T.87 annex A).

use super::super::{CodecError, damaged};
use super::Preset;

/// How long runs are, by the index that goes up and down with them (T.87 A.7.1.1).
const RUNS: [u32; 32] =
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// Contexts of regular samples; two more are of what ends a run.
const CONTEXTS: usize = 365;

/// What holds in a scan.
pub(super) struct Parameters {
    most: i32,
    near: i32,
    thresholds: [i32; 3],
    reset: i32,
    range: i32,
    bits: u32,
    limit: u32,
}

#[derive(Clone, Copy)]
struct Context {
    a: i32,
    b: i32,
    c: i32,
    n: i32,
}

/// A scan that is being decoded.
pub(super) struct Scan<'b> {
    bits: Bits<'b>,
    parameters: Parameters,
    contexts: Vec<Context>,
    /// Of what ends a run: its own count of negative errors.
    negative: [i32; 2],
    /// Of each component; of the first one where samples are interleaved.
    run: Vec<usize>,
}

impl Parameters {
    pub(super) fn new(precision: u32, near: i32, preset: Preset) -> Result<Parameters, CodecError> {
        let most = if preset.most > 0 { preset.most } else { (1 << precision) - 1 };
        if most >= 1 << precision || near > 255.min(most / 2) {
            return damaged(format!("a largest value of {most} and a tolerance of {near}"));
        }
        let step = 2 * near + 1;
        let range = (most + 2 * near) / step + 1;
        let log = |value: i32| i32::BITS - (value - 1).leading_zeros();
        let bpp = log(most + 1).max(2);
        let clamp = |value: i32, least: i32| if value > most || value < least { least } else { value };
        let [one, two, three] = if most >= 128 {
            let factor = (most.min(4095) + 128) / 256;
            [factor + 2 + 3 * near, factor * 4 + 3 + 5 * near, factor * 17 + 4 + 7 * near]
        } else {
            let factor = 256 / (most + 1);
            [(3 / factor + 3 * near).max(2), (7 / factor + 5 * near).max(3), (21 / factor + 7 * near).max(4)]
        };
        let one = clamp(one, near + 1);
        let two = clamp(two, one);
        let three = clamp(three, two);
        let or = |value: i32, default: i32| if value > 0 { value } else { default };
        let [p1, p2, p3] = preset.thresholds;
        Ok(Parameters {
            most,
            near,
            thresholds: [or(p1, one), or(p2, two), or(p3, three)],
            reset: or(preset.reset, 64),
            range,
            bits: log(range),
            limit: 2 * (bpp + bpp.max(8)),
        })
    }

    fn quantise(&self, difference: i32) -> i32 {
        let [one, two, three] = self.thresholds;
        let size = difference.abs();
        let level = match size {
            _ if size <= self.near => 0,
            _ if size < one => 1,
            _ if size < two => 2,
            _ if size < three => 3,
            _ => 4,
        };
        if difference < 0 { -level } else { level }
    }

    /// A sample from what was predicted and the error, which came in steps of the tolerance.
    fn reconstruct(&self, predicted: i32, error: i32) -> i32 {
        let step = 2 * self.near + 1;
        let mut value = predicted + error * step;
        if value < -self.near {
            value += self.range * step;
        } else if value > self.most + self.near {
            value -= self.range * step;
        }
        value.clamp(0, self.most)
    }
}

impl<'b> Scan<'b> {
    pub(super) fn new(bytes: &'b [u8], parameters: Parameters, components: usize) -> Scan<'b> {
        let fresh = Context { a: ((parameters.range + 32) / 64).max(2), b: 0, c: 0, n: 1 };
        Scan {
            bits: Bits { bytes, at: 0, window: 0, have: 0, stuffed: false, beyond: 0 },
            contexts: vec![fresh; CONTEXTS + 2],
            parameters,
            negative: [0; 2],
            run: vec![0; components],
        }
    }

    /// A line of one component.
    pub(super) fn line(&mut self, component: usize, before: &[i32], now: &mut [i32]) -> Result<(), CodecError> {
        let width = now.len() - 2;
        let mut at = 1;
        while at <= width {
            let context = self.context(before, now, at);
            if context != 0 {
                now[at] = self.regular(context, before, now, at)?;
                at += 1;
                continue;
            }
            let a = now[at - 1];
            let length = self.run_length(component, width + 1 - at)?;
            now[at..at + length].fill(a);
            at += length;
            if at <= width {
                let b = before[at];
                let kind = usize::from((a - b).abs() <= self.parameters.near);
                let error = self.run_end(component, kind)?;
                let predicted = if kind == 1 { a } else { b };
                let error = if kind == 0 && a > b { -error } else { error };
                now[at] = self.parameters.reconstruct(predicted, error);
                self.run[component] = self.run[component].saturating_sub(1);
                at += 1;
            }
        }
        Ok(())
    }

    /// A line of pixels whose samples are interleaved.
    pub(super) fn pixels(&mut self, before: &[Vec<i32>], now: &mut [Vec<i32>]) -> Result<(), CodecError> {
        let width = now[0].len() - 2;
        let mut at = 1;
        while at <= width {
            let mut contexts = [0; 4];
            for (context, (before, now)) in contexts.iter_mut().zip(before.iter().zip(now.iter())) {
                *context = self.context(before, now, at);
            }
            if contexts != [0; 4] {
                for (&context, (before, now)) in contexts.iter().zip(before.iter().zip(now.iter_mut())) {
                    now[at] = self.regular(context, before, now, at)?;
                }
                at += 1;
                continue;
            }
            let length = self.run_length(0, width + 1 - at)?;
            for now in now.iter_mut() {
                let a = now[at - 1];
                now[at..at + length].fill(a);
            }
            at += length;
            if at <= width {
                for (before, now) in before.iter().zip(now.iter_mut()) {
                    let (a, b) = (now[at - 1], before[at]);
                    let error = self.run_end(0, 0)?;
                    now[at] = self.parameters.reconstruct(b, if a > b { -error } else { error });
                }
                self.run[0] = self.run[0].saturating_sub(1);
                at += 1;
            }
        }
        Ok(())
    }

    /// The context of a sample, signed; 0 begins a run.
    fn context(&self, before: &[i32], now: &[i32], at: usize) -> i32 {
        let (a, b, c, d) = (now[at - 1], before[at], before[at - 1], before[at + 1]);
        let [one, two, three] = [d - b, b - c, c - a].map(|difference| self.parameters.quantise(difference));
        (one * 9 + two) * 9 + three
    }

    fn regular(&mut self, context: i32, before: &[i32], now: &[i32], at: usize) -> Result<i32, CodecError> {
        let (a, b, c) = (now[at - 1], before[at], before[at - 1]);
        let predicted = if c >= a.max(b) {
            a.min(b)
        } else if c <= a.min(b) {
            a.max(b)
        } else {
            a + b - c
        };
        let index = context.unsigned_abs() as usize;
        // A sample of a pixel whose others are not flat may have no context of its own.
        let sign = if context < 0 { -1 } else { 1 };
        let Parameters { most, near, reset, limit, bits, .. } = self.parameters;
        let held = self.contexts[index];
        let predicted = (predicted + sign * held.c).clamp(0, most);
        let k = shift(held.n, held.a);
        let mapped = self.error(k, limit, bits)?;
        let error = match (near == 0 && k == 0 && 2 * held.b <= -held.n, mapped % 2 == 1) {
            (true, true) => (mapped - 1) / 2,
            (true, false) => -(mapped / 2) - 1,
            (false, true) => -((mapped + 1) / 2),
            (false, false) => mapped / 2,
        };
        self.contexts[index] = held.learn(error, near, reset);
        Ok(self.parameters.reconstruct(predicted, sign * error))
    }

    /// An error as it is coded, which is never larger than all errors that there are.
    fn error(&mut self, k: u32, limit: u32, bits: u32) -> Result<i32, CodecError> {
        let mapped = self.bits.golomb(k, limit, bits)?;
        if mapped <= 2 * self.parameters.range { Ok(mapped) } else { damaged("an error larger than any sample") }
    }

    /// How many samples a run has before its end or the end of the line.
    fn run_length(&mut self, component: usize, left: usize) -> Result<usize, CodecError> {
        let mut length = 0;
        while self.bits.number(1)? == 1 {
            let whole = 1_usize << RUNS[self.run[component]];
            if length + whole > left {
                return Ok(left);
            }
            length += whole;
            self.run[component] = (self.run[component] + 1).min(31);
            if length == left {
                return Ok(left);
            }
        }
        length += self.bits.number(RUNS[self.run[component]])? as usize;
        if length < left { Ok(length) } else { damaged("a run is longer than its line") }
    }

    /// The error of the sample that ends a run.
    fn run_end(&mut self, component: usize, kind: usize) -> Result<i32, CodecError> {
        let Parameters { reset, limit, bits, .. } = self.parameters;
        let mut held = self.contexts[CONTEXTS + kind];
        let typed = i32::from(kind == 1);
        let k = shift(held.n, held.a.saturating_add(if kind == 1 { held.n >> 1 } else { 0 }));
        let mapped = self.error(k, limit - RUNS[self.run[component]] - 1, bits)?;
        let all = mapped + typed;
        let odd = all % 2 == 1;
        let size = (all + i32::from(odd)) / 2;
        let turned = k != 0 || 2 * self.negative[kind] >= held.n;
        let error = if turned == odd { -size } else { size };
        if error < 0 {
            self.negative[kind] += 1;
        }
        held.a = held.a.saturating_add((mapped + 1 - typed) >> 1);
        if held.n == reset {
            held.a >>= 1;
            held.n >>= 1;
            self.negative[kind] >>= 1;
        }
        held.n += 1;
        self.contexts[CONTEXTS + kind] = held;
        Ok(error)
    }
}

/// The parameter of the code (T.87 A.5.1).
fn shift(n: i32, a: i32) -> u32 {
    (0..24).find(|&k| i64::from(n) << k >= i64::from(a)).unwrap_or(24)
}

impl Context {
    /// What is known after an error (T.87 A.6).
    fn learn(mut self, error: i32, near: i32, reset: i32) -> Context {
        self.b += error * (2 * near + 1);
        self.a = self.a.saturating_add(error.abs());
        if self.n >= reset {
            self.a >>= 1;
            self.b >>= 1;
            self.n >>= 1;
        }
        self.n += 1;
        if self.b <= -self.n {
            self.b = (self.b + self.n).max(1 - self.n);
            self.c = (self.c - 1).max(-128);
        } else if self.b > 0 {
            self.b = (self.b - self.n).min(0);
            self.c = (self.c + 1).min(127);
        }
        self
    }
}

/// The bits of a scan: behind a byte of ones comes one of seven bits (T.87 annex A.1).
struct Bits<'b> {
    bytes: &'b [u8],
    at: usize,
    window: u64,
    have: u32,
    stuffed: bool,
    beyond: u32,
}

impl Bits<'_> {
    fn fill(&mut self) {
        while self.have <= 48 {
            let (byte, bits) = match self.bytes.get(self.at) {
                Some(&byte) if !(self.stuffed && byte >= 0x80) => {
                    self.at += 1;
                    let bits = if self.stuffed { 7 } else { 8 };
                    self.stuffed = byte == 0xFF;
                    // A byte of ones before a marker belongs to that.
                    (byte, bits)
                }
                _ => {
                    self.beyond += 8;
                    (0, 8)
                }
            };
            self.window = (self.window << bits) | u64::from(byte);
            self.have += bits;
        }
    }

    /// The next bits as a number, 31 at most.
    fn number(&mut self, bits: u32) -> Result<i32, CodecError> {
        if bits == 0 {
            return Ok(0);
        }
        self.fill();
        let value = (self.window >> (self.have - bits)) as u32 & ((1 << bits) - 1);
        self.have -= bits;
        self.window &= (1 << self.have) - 1;
        if self.beyond > self.have { Err(CodecError::Truncated) } else { Ok(value.cast_signed()) }
    }

    /// A Golomb code of limited length (T.87 A.5.3).
    fn golomb(&mut self, k: u32, limit: u32, bits: u32) -> Result<i32, CodecError> {
        let longest = limit - bits - 1;
        let mut zeros = 0;
        while self.number(1)? == 0 {
            zeros += 1;
            if zeros > longest {
                return damaged("a code is longer than any");
            }
        }
        if zeros < longest { Ok((zeros << k).cast_signed() | self.number(k)?) } else { Ok(self.number(bits)? + 1) }
    }
}
