//! A picture of one bench: points a second over time above, percentiles of latency below. Plain SVG, light and dark.

use std::fmt::Write as _;

use super::report::{PERCENTILES, Report, millis, ratio};

/// Of the whole picture, in pixels.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 560.0;

/// Where axes stand.
const LEFT: f64 = 80.0;
const RIGHT: f64 = 700.0;
const CHART_HEIGHT: f64 = 170.0;
const RATE_BOTTOM: f64 = 240.0;
const LATENCY_BOTTOM: f64 = 500.0;

/// Steps of an axis.
const TICKS: u32 = 4;

pub(super) fn svg(report: &Report<'_>) -> String {
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" fill="#222">
<rect width="100%" height="100%" fill="#fff"/>
"##
    );
    let args = report.args;
    let title = format!(
        "ebbtide bench: {:.0} points/s, durability {}, {} writers, batches of {}, {} series",
        report.rate(),
        args.durability,
        args.writers,
        args.batch,
        args.series
    );
    text(&mut svg, LEFT, 26.0, "start", &format!(r#"font-weight="bold">{title}"#));
    rate_chart(&mut svg, report);
    latency_chart(&mut svg, report);
    svg.push_str("</svg>\n");
    svg
}

fn rate_chart(svg: &mut String, report: &Report<'_>) {
    let timeline = &report.measured.timeline;
    let span_secs = timeline.span().as_secs_f64();
    let end = report.measured.taken.as_secs_f64().max(span_secs / 1e3);
    let rates: Vec<f64> = timeline
        .counts()
        .iter()
        .enumerate()
        .map(|(span, &points)| {
            // The last span is not over when the load is.
            let start = ratio(span as u64, 1) * span_secs;
            ratio(points, 1) / (end - start).clamp(span_secs / 1e3, span_secs)
        })
        .collect();
    let top = round_up(rates.iter().copied().fold(1.0, f64::max));
    text(svg, LEFT, RATE_BOTTOM - CHART_HEIGHT - 10.0, "start", ">points acknowledged, points/s");
    for tick in 0..=TICKS {
        let share = f64::from(tick) / f64::from(TICKS);
        let y = RATE_BOTTOM - share * CHART_HEIGHT;
        line(svg, [LEFT, y, RIGHT, y], if tick == 0 { "#222" } else { "#ddd" });
        text(svg, LEFT - 8.0, y + 4.0, "end", &format!(">{}", short(share * top)));
        let x = LEFT + share * (RIGHT - LEFT);
        text(svg, x, RATE_BOTTOM + 18.0, "middle", &format!(">{:.3}", share * end));
    }
    text(svg, f64::midpoint(LEFT, RIGHT), RATE_BOTTOM + 36.0, "middle", ">time since the start, s");
    let mut points = String::new();
    for (span, rate) in rates.iter().enumerate() {
        let y = RATE_BOTTOM - rate / top * CHART_HEIGHT;
        // Each span is a step.
        for edge in [span, span + 1] {
            let x = LEFT + (ratio(edge as u64, 1) * span_secs / end).min(1.0) * (RIGHT - LEFT);
            write!(points, "{x:.1},{y:.1} ").expect("memory");
        }
    }
    let points = points.trim_end();
    writeln!(svg, r##"<polyline points="{points}" fill="none" stroke="#1668b8" stroke-width="1.5"/>"##)
        .expect("memory");
}

fn latency_chart(svg: &mut String, report: &Report<'_>) {
    let values = PERCENTILES.map(|(name, of_100_000)| (name, report.percentile(of_100_000).max(1e-4)));
    // From the power of ten below the least to the one above the greatest.
    let powers = [values[0].1, values[values.len() - 1].1].map(f64::log10);
    let (low, high) = (powers[0].floor(), powers[1].ceil().max(powers[0].floor() + 1.0));
    let y_of = |value: f64| LATENCY_BOTTOM - (value.log10() - low) / (high - low) * CHART_HEIGHT;
    let from = report.latency_from();
    let title = format!(">latency of acknowledgements from the {from}, ms (logarithmic)");
    text(svg, LEFT, LATENCY_BOTTOM - CHART_HEIGHT - 10.0, "start", &title);
    let mut power = low;
    while power <= high {
        let value = 10_f64.powf(power);
        let y = y_of(value);
        line(svg, [LEFT, y, RIGHT, y], if power > low { "#ddd" } else { "#222" });
        text(svg, LEFT - 8.0, y + 4.0, "end", &format!(">{value}"));
        power += 1.0;
    }
    let room = (RIGHT - LEFT) / ratio(values.len() as u64, 1);
    for (place, (name, value)) in values.into_iter().enumerate() {
        let middle = LEFT + room * (ratio(place as u64, 1) + 0.5);
        let (y, left) = (y_of(value), middle - room / 4.0);
        let (width, height) = (room / 2.0, LATENCY_BOTTOM - y);
        writeln!(svg, r##"<rect x="{left:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="#1668b8"/>"##)
            .expect("memory");
        text(svg, middle, y - 5.0, "middle", &format!(">{value:.3}"));
        text(svg, middle, LATENCY_BOTTOM + 18.0, "middle", &format!(">{name}"));
    }
    let batches = report.measured.latency.count();
    let told = format!(">percentile of {batches} batches, {:.1} s", millis(report.measured.taken) / 1e3);
    text(svg, f64::midpoint(LEFT, RIGHT), LATENCY_BOTTOM + 36.0, "middle", &told);
}

/// A text element; `rest` is further attributes, `>` and the text, which has no character that means something in XML.
fn text(svg: &mut String, x: f64, y: f64, anchor: &str, rest: &str) {
    writeln!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" {rest}</text>"#).expect("memory");
}

fn line(svg: &mut String, [x1, y1, x2, y2]: [f64; 4], color: &str) {
    writeln!(svg, r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{color}"/>"#).expect("memory");
}

/// The next of 1, 2, 4, 8 times a power of ten, which four ticks divide well.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let step = [1.0, 2.0, 4.0, 8.0, 10.0].into_iter().find(|step| step * power >= value);
    step.unwrap_or(10.0) * power
}

fn short(value: f64) -> String {
    match value {
        1e6.. => format!("{:.2} M", value / 1e6),
        1e3.. => format!("{:.1} k", value / 1e3),
        _ => format!("{value:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        for (value, top) in [(1.0, 1.0), (1.1, 2.0), (399.0, 400.0), (9_000_000.0, 10_000_000.0), (80.0, 80.0)] {
            assert!((round_up(value) / top - 1.0).abs() < 1e-9, "{value} ends at {}", round_up(value));
        }
        assert_eq!([0.5, 1_500.0, 12_500_000.0].map(short), ["0.5", "1.5 k", "12.50 M"]);
    }
}
