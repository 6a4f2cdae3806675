//! Bars on a logarithmic scale, as SVG: a panel for each question, a bar for each store.

use std::fmt::Write;

use crate::figures::short;

const BAR: f64 = 15.0;
const GAP: f64 = 5.0;
const LEFT: f64 = 90.0;
const WIDTH: f64 = 560.0;
const RIGHT: f64 = 80.0;
const TITLE: f64 = 26.0;
const TOP: f64 = 46.0;
const BOTTOM: f64 = 46.0;

pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) bars: Vec<(&'static str, f64)>,
}

/// A picture of panels below each other on one scale. `None` if there is nothing to show.
pub(crate) fn picture(title: &str, axis: &str, panels: &[Panel]) -> Option<String> {
    let panels: Vec<&Panel> = panels.iter().filter(|panel| !panel.bars.is_empty()).collect();
    let values = panels.iter().flat_map(|panel| &panel.bars).map(|bar| bar.1);
    let (least, most) = values.fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)));
    if panels.is_empty() || least <= 0.0 {
        return None;
    }
    // The scale begins below the least bar, so that it can be seen.
    let (first, last) = ((least * 0.7).log10().floor(), most.log10().ceil());
    let x = |value: f64| LEFT + WIDTH * (value.log10() - first) / (last - first).max(1.0);
    let bars: usize = panels.iter().map(|panel| panel.bars.len()).sum();
    let height = TOP + panels.len() as f64 * TITLE + bars as f64 * (BAR + GAP) + BOTTOM;
    let width = LEFT + WIDTH + RIGHT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\" font-weight=\"bold\">{title}</text>\n"
    );
    scale(&mut svg, first, last, &x, height, axis);
    let mut y = TOP;
    for panel in panels {
        y += TITLE;
        text(&mut svg, LEFT, y - 6.0, "start", &panel.title, true);
        for (store, value) in &panel.bars {
            let (color, bold) = if *store == "ebbtide" { ("#0b6e99", true) } else { ("#b4bcc4", false) };
            let long = x(*value) - LEFT;
            let _ = writeln!(
                svg,
                "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{long:.1}\" height=\"{BAR}\" fill=\"{color}\"/>"
            );
            text(&mut svg, LEFT - 6.0, y + 11.5, "end", store, bold);
            text(&mut svg, x(*value) + 4.0, y + 11.5, "start", &short(*value), bold);
            y += BAR + GAP;
        }
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

/// Lines at the powers of ten, their numbers, and the name of the axis with its unit.
fn scale(svg: &mut String, first: f64, last: f64, x: &dyn Fn(f64) -> f64, height: f64, axis: &str) {
    let bottom = height - BOTTOM + 4.0;
    let mut power = first;
    while power <= last {
        let (at, value) = (x(10_f64.powf(power)), 10_f64.powf(power));
        let _ =
            writeln!(svg, "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{bottom:.1}\" stroke=\"#e3e6e9\"/>");
        // No digit more than the power needs.
        let number = format!("{value:.9}");
        let number = number.trim_end_matches('0').trim_end_matches('.');
        text(svg, at, bottom + 13.0, "middle", number, false);
        power += 1.0;
    }
    text(svg, LEFT + WIDTH / 2.0, bottom + 32.0, "middle", axis, false);
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str, bold: bool) {
    let weight = if bold { " font-weight=\"bold\"" } else { "" };
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{weight}>{words}</text>");
}
