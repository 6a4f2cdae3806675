//! Where chunks end: where a power of two of equal parts of a partition end, so that series which are collected together
//! are cut at the same points and share their columns of times.

use crate::model::limits::CHUNK_POINTS_MAX;
use crate::model::packed::PackedPoint;

/// Most points that a window should hold at the median step; it then holds more than half of it. A day of points every
/// 30 s is one chunk, and one of every 10 s is four.
const WINDOW_POINTS: i64 = 2_880;
/// Fewest points that windows should hold in the mean; where there are fewer, the steps say little.
const WINDOW_POINTS_MIN: usize = 512;
/// Most steps that are looked at to find the median.
const STEPS_MAX: usize = 256;

/// The window for a series that starts with these points, in ms: `span`, that of a partition, halved again and again.
pub(super) fn window_of(points: &[PackedPoint], span: i64) -> i64 {
    let Some(last) = points.len().checked_sub(1).filter(|&last| last > 0) else { return span };
    let looked_at = last.min(STEPS_MAX);
    let mut steps: Vec<i64> = (0..looked_at)
        .map(|number| number * last / looked_at)
        .map(|at| points[at + 1].time - points[at].time)
        .collect();
    let (_, &mut median, _) = steps.select_nth_unstable(looked_at / 2);
    let widest = median.saturating_mul(WINDOW_POINTS);
    let mut halvings = 0;
    while span >> halvings > widest.max(1) {
        halvings += 1;
    }
    // Bursts: most steps are short, but few points come before the next pause.
    while halvings > 0 && points.len() < WINDOW_POINTS_MIN * (windows_in(points, span >> halvings) - 1) {
        halvings -= 1;
    }
    span >> halvings
}

/// How many windows hold some of the points.
fn windows_in(points: &[PackedPoint], window: i64) -> usize {
    let (mut rest, mut count) = (points, 0);
    while let Some(first) = rest.first() {
        let end = (first.time.div_euclid(window) + 1).saturating_mul(window);
        rest = &rest[rest.partition_point(|point| point.time < end)..];
        count += 1;
    }
    count
}

/// How many of the points, of which there is at least one, make the next chunk. What it depends on lies within the
/// first `CHUNK_POINTS_MAX + 1`.
pub(super) fn chunk_len(points: &[PackedPoint], window: i64) -> usize {
    let points = &points[..points.len().min(CHUNK_POINTS_MAX + 1)];
    let mut window = window;
    loop {
        let end = (points[0].time.div_euclid(window) + 1).saturating_mul(window);
        let len = points.partition_point(|point| point.time < end);
        // Times differ by at least 1 ms, so a narrow enough window holds few enough.
        if len <= CHUNK_POINTS_MAX {
            return len;
        }
        window /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn points(times: impl IntoIterator<Item = i64>) -> Vec<PackedPoint> {
        times.into_iter().map(PackedPoint::shadow).collect()
    }

    fn lens(points: &[PackedPoint]) -> Vec<usize> {
        let window = window_of(points, DAY);
        let (mut rest, mut lens) = (points, Vec::new());
        while !rest.is_empty() {
            lens.push(chunk_len(rest, window));
            rest = &rest[lens[lens.len() - 1]..];
        }
        lens
    }

    #[test]
    fn windows_fit_the_step_and_ignore_where_a_series_starts() {
        let start = 1_795_281_677_579;
        let every = |secs: i64, first: i64| points((first..8_640).map(|at| start + at * secs * 1_000));
        assert_eq!(window_of(&every(10, 0), DAY), DAY / 4);
        assert_eq!(window_of(&every(10, 100), DAY), DAY / 4);
        assert_eq!(window_of(&every(1, 0), DAY), DAY / 32);
        assert_eq!(window_of(&every(300, 0), 7 * DAY), 7 * DAY);
        assert_eq!(lens(&every(10, 0))[1], 2_160);
    }

    #[test]
    fn bursts_make_neither_tiny_chunks_nor_large_ones() {
        // Ten points at 1 ms, then a pause of 10 s: by the step alone a chunk would hold ten.
        let bursts = points((0..8_000).map(|at| at / 10 * 10_000 + at % 10));
        assert!(lens(&bursts).len() < 20, "{:?}", lens(&bursts));
        // Slow, then far faster than the window was made for.
        let fast = points((0..100).map(|at| at * 60_000).chain(6_000_000..6_020_000));
        let window = window_of(&fast[..150], DAY);
        let len = chunk_len(&fast[100..], window);
        assert!((1..=CHUNK_POINTS_MAX).contains(&len));
        assert_eq!(lens(&points([])), [0; 0]);
        assert_eq!(lens(&points([-5])), [1]);
        assert_eq!(lens(&points([-(1 << 53), 1 << 53])).iter().sum::<usize>(), 2);
    }
}
