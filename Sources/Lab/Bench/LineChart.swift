import Foundation

/// Lines over a common scale as SVG that stands in a page: no script, and nothing from elsewhere.
struct LineChart {
    struct Line {
        let name: String
        let points: [(x: Double, y: Double)]
    }

    /// What lies along the bottom.
    enum Across {
        case linear
        /// Percentages, each next 9 as far from the last as the one before: 90, 99, 99.9.
        case percentiles
    }

    static let colours = ["#2f6f9f", "#c97b2a", "#5b8c5a", "#8c5b7f", "#b5483a", "#2a9d9d", "#c9a12a", "#7a7a7a"]
    private static let (width, height, left, bottom, top, right) = (560.0, 300.0, 70.0, 42.0, 26.0, 16.0)
    /// Percentiles beyond are drawn here.
    private static let furthestNines = 5.0

    let title: String
    let across: String
    var kind = Across.linear
    let lines: [Line]

    /// The chart with the names of its lines; empty without points.
    var svg: String {
        let points = lines.flatMap(\.points)
        guard !points.isEmpty else { return "" }
        let right = max(points.map { place($0.x) }.max() ?? 1, 1e-9)
        let highest = max((points.map(\.y).max() ?? 1) * 1.05, 1e-9)
        func x(_ value: Double) -> Double { Self.left + place(value) / right * (Self.width - Self.left - Self.right) }
        func y(_ value: Double) -> Double { Self.height - Self.bottom - value / highest * (Self.height - Self.bottom - Self.top) }
        var parts = [
            #"<svg viewBox="0 0 \#(Int(Self.width)) \#(Int(Self.height))" width="\#(Int(Self.width))" role="img">"#,
            #"<text x="0" y="14" class="title">\#(Self.escaped(title))</text>"#,
        ]
        for value in Self.ticks(to: highest) {
            parts.append(
                #"<line x1="\#(Int(Self.left))" x2="\#(Int(Self.width - Self.right))" y1="\#(Self.short(y(value)))" "#
                    + #"y2="\#(Self.short(y(value)))" class="grid"/>"#
                    + Self.label(Self.left - 6, y(value) + 4, "end", Self.number(value)))
        }
        for (value, name) in marks(right) {
            parts.append(Self.label(x(value), Self.height - Self.bottom + 16, "middle", name))
        }
        parts.append(Self.label((Self.left + Self.width) / 2, Self.height - 6, "middle", Self.escaped(across)))
        for (number, line) in lines.enumerated() {
            let path = line.points.map { "\(Self.short(x($0.x))),\(Self.short(y($0.y)))" }.joined(separator: " ")
            let colour = Self.colours[number % Self.colours.count]
            parts.append(
                #"<polyline points="\#(path)" fill="none" stroke="\#(colour)" stroke-width="1.8">"#
                    + "<title>\(Self.escaped(line.name))</title></polyline>")
        }
        parts.append("</svg>")
        let names = lines.enumerated().map { number, line in
            #"<span style="color:\#(Self.colours[number % Self.colours.count])">&#9632; \#(Self.escaped(line.name))</span>"#
        }
        return "<figure>" + parts.joined(separator: "\n") + "\n<figcaption>" + names.joined(separator: " ") + "</figcaption></figure>"
    }

    /// Where a value lies along the bottom, from 0.
    private func place(_ value: Double) -> Double {
        switch kind {
        case .linear: max(0, value)
        case .percentiles: min(Self.furthestNines, -log10(max(1e-9, 1 - value / 100)))
        }
    }

    private func marks(_ right: Double) -> [(Double, String)] {
        switch kind {
        case .linear: Self.ticks(to: right).map { ($0, Self.number($0)) }
        case .percentiles:
            [(0, "0 %"), (90, "90 %"), (99, "99 %"), (99.9, "99.9 %"), (99.99, "99.99 %"), (99.999, "99.999 %")].filter {
                place($0.0) <= right + 1e-6
            }
        }
    }

    /// About five round numbers from 0.
    static func ticks(to highest: Double) -> [Double] {
        let raw = highest / 5
        let size = pow(10, floor(log10(raw)))
        let step = [1.0, 2, 5, 10].map { $0 * size }.first { $0 >= raw } ?? raw
        return Array(stride(from: 0, through: highest, by: step))
    }

    private static func label(_ x: Double, _ y: Double, _ anchor: String, _ text: String) -> String {
        #"<text x="\#(short(x))" y="\#(short(y))" class="axis" text-anchor="\#(anchor)">\#(text)</text>"#
    }

    private static func short(_ value: Double) -> String { String(format: "%.1f", value) }

    private static func number(_ value: Double) -> String {
        value == value.rounded() ? ProgressEstimate.grouped(Int(value)) : String(format: "%.3g", value)
    }

    static func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
            .replacingOccurrences(of: ">", with: "&gt;").replacingOccurrences(of: "\"", with: "&quot;")
    }
}
