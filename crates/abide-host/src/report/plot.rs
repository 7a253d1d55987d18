//! The slope's level over time, thinned out and drawn.

use abide_core::schema::Micro;
use abide_core::time::Timestamp;
use maud::{Markup, html};

use abide_core::record::json::micro_json;

/// Most points of a plot.
pub const POINTS_MAX: usize = 500;

/// The width and height of a plot, in its own units.
const SIZE: (f64, f64) = (800.0, 180.0);

/// The slope at a time, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// When.
    pub time: Timestamp,
    /// What it held.
    pub level: Micro,
    /// The most that it could hold.
    pub bound: Micro,
}

/// At most [`POINTS_MAX`] of the points: of each stretch the lowest and the highest, and both ends, so that no dip is lost.
pub(super) fn thinned(points: Vec<Point>) -> Vec<Point> {
    if points.len() <= POINTS_MAX {
        return points;
    }
    let stretches = POINTS_MAX / 2 - 1;
    let mut kept: Vec<Point> = points.first().copied().into_iter().collect();
    for stretch in points.chunks(points.len().div_ceil(stretches)) {
        let numbered = || stretch.iter().enumerate();
        let least = numbered().min_by_key(|(_, point)| point.level);
        let most = numbered().max_by_key(|(_, point)| point.level);
        let (Some(least), Some(most)) = (least, most) else { continue };
        let (first, second) = if least.0 <= most.0 { (least, most) } else { (most, least) };
        kept.extend([*first.1, *second.1]);
    }
    kept.extend(points.last());
    kept
}

/// The plot: the level as a line, the bound as a dashed one.
#[expect(clippy::cast_precision_loss, reason = "a plot has some hundred pixels")]
pub(super) fn svg(points: &[Point]) -> Markup {
    let times = || points.iter().map(|point| point.time);
    let (Some(from), Some(to)) = (times().min(), times().max()) else { return html! {} };
    let top = points.iter().map(|point| point.bound.max(point.level)).max().unwrap_or(1).max(1);
    let length = (to.since(from).0 as f64).max(1.0);
    let path = |value: fn(&Point) -> Micro| {
        let each = points.iter().map(|point| {
            let x = point.time.since(from).0 as f64 / length * SIZE.0;
            let y = SIZE.1 - value(point) as f64 / top as f64 * SIZE.1;
            format!("{x:.1},{y:.1}")
        });
        each.collect::<Vec<_>>().join(" ")
    };
    // The words are beside the drawing, which is stretched: they keep their size on any screen.
    html! {
        div.plot {
            div.y { span { (micro_json(top)) } span { "0" } }
            svg viewBox="0 0 800 180" preserveAspectRatio="none" role="img" aria-label="slope level over time" {
                polyline points="0,0 0,180 800,180" class="axis" {}
                polyline points=(path(|point| point.bound)) class="bound" {}
                polyline points=(path(|point| point.level)) class="level" {}
            }
            div.x { span { (from) } span { (to) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_is_thinned_and_keeps_every_extreme() {
        let point = |n: i64| Point {
            time: Timestamp(n),
            level: if n == 77_777 { 1 } else { 1_000 + u64::try_from(n % 7).unwrap() },
            bound: 2_000,
        };
        for length in [0, 1, 499, 500, 501, 1_000, 100_000] {
            let points: Vec<Point> = (0..length).map(point).collect();
            let kept = thinned(points.clone());
            assert!(kept.len() <= POINTS_MAX, "{length}: {}", kept.len());
            assert_eq!((kept.first(), kept.last()), (points.first(), points.last()), "{length}");
            assert!(kept.is_sorted_by_key(|point| point.time), "{length}");
        }
        assert!(thinned((0..100_000).map(point).collect()).contains(&point(77_777)));
    }
}
