import type { EChartsCoreOption } from 'echarts/core';
// The library in one file: its hundreds of modules take seven times as long to load.
import { init } from 'echarts/dist/echarts.esm.min.mjs';
import { count, duration, plain } from './format.js';
import { type Html, html } from './html.js';

/** Colours of charts, which the page's style gives their values, in light and dark. */
export type Tone = 'calm' | 'accent' | 'second' | 'good' | 'warn' | 'bad';

const fill = (tone: Tone): string => `var(--${tone})`;
const INK = 'var(--ink)';
const SOFT = 'var(--soft)';
const LINE = 'var(--line)';

/** Widths in px for which a chart is drawn: of a page on a screen or on paper, and of one on a telephone. */
const WIDTHS = { wide: 820, narrow: 340 } as const;

/** Drawn to scale in the page; the same numbers stand in a table beside it. */
function chart(
  label: string,
  optionOf: (width: number) => { option: EChartsCoreOption; height: number },
): Html {
  const drawn = Object.entries(WIDTHS).map(([size, width]) => {
    const { option, height } = optionOf(width);
    return html`<div class="${size}">${svg(option, width, height)}</div>`;
  });
  return html`<div class="chart" role="img" aria-label="${label}">${drawn}</div>`;
}

function svg(option: EChartsCoreOption, width: number, height: number): Html {
  const canvas = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    canvas.setOption({ animation: false, textStyle: { fontFamily: 'inherit', fontSize: 12 }, ...option });
    return { html: bare(canvas.renderToSVGString()) };
  } finally {
    canvas.dispose();
  }
}

/** Without what a page has no use for: name spaces, marks for scripts, rules for the mouse. */
function bare(drawing: string): string {
  return drawing
    .replaceAll(/<style ?>.*?<\/style>/gs, '')
    .replaceAll(/ (?:ecmeta_\w+|class|xmlns(?::\w+)?|version|baseProfile)="[^"]*"/g, '')
    .replaceAll(/\n+/g, '\n')
    .replace(/^<svg width="\d+" height="\d+"/, '<svg');
}

export interface FlowNode {
  readonly name: string;
  readonly count: number;
  readonly tone: Tone;
  /** The column, from 0. */
  readonly depth: number;
}

export interface Flow {
  readonly from: string;
  readonly to: string;
  readonly count: number;
}

/** The smallest flow that is drawn, as a part of the largest: one record of a million is to be seen, too. */
const THINNEST = 1 / 120;

const isThin = (flow: Flow, largest: number): boolean => flow.count < largest * THINNEST;

const largestOf = (flows: readonly Flow[]): number => Math.max(...flows.map((flow) => flow.count));

/** Whether some flows are so small that they are drawn larger than they are. */
export const isWidened = (flows: readonly Flow[]): boolean =>
  flows.some((flow) => isThin(flow, largestOf(flows)));

/** Where records came from and went to. */
export function flowChart(label: string, nodes: readonly FlowNode[], flows: readonly Flow[]): Html {
  const largest = largestOf(flows);
  const toneOf = new Map(nodes.map(({ name, tone }) => [name, tone]));
  // The flow out of a small node passes behind its label.
  const inFlow = ({ name, count: n }: FlowNode): boolean =>
    n < largest / 4 && flows.some(({ from }) => from === name);
  const tallest = Math.max(
    ...nodes.map(({ depth }) => nodes.filter((other) => other.depth === depth).length),
  );
  return chart(label, (width) => {
    const narrow = width < 600;
    return {
      height: Math.max(narrow ? 220 : 200, 110 + tallest * 48),
      option: {
        series: {
          type: 'sankey',
          silent: true,
          emphasis: { disabled: true },
          nodeAlign: 'left',
          layoutIterations: 0,
          nodeWidth: narrow ? 6 : 10,
          nodeGap: 34,
          left: 2,
          right: narrow ? 62 : 96,
          top: 14,
          bottom: 22,
          data: nodes.map((node) => ({
            name: node.name,
            depth: node.depth,
            itemStyle: { color: fill(node.tone), borderWidth: 0 },
            label: {
              ...(inFlow(node) ? { textBorderColor: 'var(--paper)', textBorderWidth: 4 } : {}),
              position: 'right',
              distance: narrow ? 4 : 8,
              formatter: `{name|${node.name}}\n{count|${count(node.count)}}`,
              rich: {
                name: { color: SOFT, fontSize: narrow ? 10.5 : 12, lineHeight: narrow ? 13 : 15 },
                count: {
                  color: INK,
                  fontSize: narrow ? 11 : 13,
                  fontWeight: 600,
                  lineHeight: narrow ? 13 : 16,
                },
              },
            },
          })),
          links: flows.map(({ from, to, count: n }) => ({
            source: from,
            target: to,
            value: Math.max(n, largest * THINNEST),
            lineStyle: { color: fill(toneOf.get(to) ?? 'calm'), opacity: 0.22, curveness: 0.5 },
          })),
        },
      },
    };
  });
}

export interface Span {
  readonly row: string;
  readonly tone: Tone;
  /** Seconds since the run began. */
  readonly from: number;
  readonly seconds: number;
}

/** When what went on, a row for each name, in the order in which they come first. */
export function timeChart(label: string, spans: readonly Span[], total: number): Html {
  const rows = [...new Set(spans.map(({ row }) => row))];
  return chart(label, (width) => {
    const left = gutter(rows, width);
    const step = stepOf(total, width < 600 ? 3 : 8);
    return {
      height: rows.length * 24 + 36,
      option: {
        grid: { left, right: 14, top: 4, bottom: 28 },
        xAxis: {
          type: 'value',
          min: 0,
          max: total,
          interval: step,
          axisLabel: { color: SOFT, fontSize: 11, formatter: tick, showMaxLabel: total % step === 0 },
          splitLine: { lineStyle: { color: LINE } },
        },
        yAxis: namesAxis(rows, left),
        series: {
          type: 'custom',
          silent: true,
          clip: false,
          encode: { x: [1, 2], y: 0 },
          data: spans.map(({ row, from, seconds }) => [rows.indexOf(row), from, from + seconds]),
          renderItem: (
            item: { dataIndex: number },
            api: { value(i: number): number; coord(at: number[]): number[] },
          ) => {
            const [x = 0, y = 0] = api.coord([api.value(1), api.value(0)]);
            const [end = 0] = api.coord([api.value(2), api.value(0)]);
            const tone = spans[item.dataIndex]?.tone ?? 'calm';
            return {
              type: 'rect',
              shape: { x, y: y - 6, width: Math.max(2, end - x), height: 12, r: 2 },
              style: { fill: fill(tone) },
            };
          },
        },
      },
    };
  });
}

export interface Bar {
  readonly name: string;
  /** In place of the name where there is no room for it. */
  readonly number: number;
  readonly value: number;
  readonly tone: Tone;
}

/** Bars that lie one below the other are named; of more than these only the heights are to be seen. */
const NAMED_BARS = 16;

/** One bar for each value. */
export function barChart(label: string, bars: readonly Bar[]): Html {
  const data = bars.map(({ value, tone }) => ({ value, itemStyle: { color: fill(tone), borderRadius: 2 } }));
  const names = bars.map((bar) => bar.name);
  const few = bars.length <= NAMED_BARS;
  return chart(label, (width) => {
    const left = few ? gutter(names, width) : 56;
    const series = { type: 'bar', silent: true, emphasis: { disabled: true }, data };
    if (!few)
      return {
        height: 200,
        option: {
          grid: { left, right: 14, top: 8, bottom: 24 },
          xAxis: {
            type: 'category',
            data: bars.map(({ number }) => String(number)),
            axisLine: { lineStyle: { color: LINE } },
            axisTick: { show: false },
            axisLabel: { color: SOFT, fontSize: 11 },
          },
          yAxis: {
            type: 'value',
            splitNumber: 4,
            splitLine: { lineStyle: { color: LINE } },
            axisLabel: { color: SOFT, fontSize: 11, formatter: count },
          },
          series: { ...series, barCategoryGap: '20%' },
        },
      };
    return {
      height: bars.length * 24 + 8,
      option: {
        grid: { left, right: 64, top: 4, bottom: 4 },
        xAxis: { type: 'value', min: 0, show: false },
        yAxis: namesAxis(names, left),
        series: {
          ...series,
          barWidth: 12,
          label: {
            show: true,
            position: 'right',
            color: INK,
            fontSize: 12,
            formatter: ({ value }: { value: number }) => count(value),
          },
        },
      },
    };
  });
}

/** Names below each other, aligned to the left. */
function namesAxis(names: readonly string[], left: number): object {
  return {
    type: 'category',
    inverse: true,
    data: names.map(plain),
    axisLine: { show: false },
    axisTick: { show: false },
    axisLabel: {
      color: SOFT,
      fontSize: 12,
      interval: 0,
      align: 'left',
      margin: left - 2,
      width: left - 12,
      overflow: 'truncate',
    },
  };
}

/** Room for the names, px. */
const gutter = (names: readonly string[], width: number): number =>
  Math.min(Math.max(...names.map((text) => text.length)) * 7 + 20, width * 0.34);

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400];

/** Seconds between the lines of a time axis, of which there are `lines` at most. */
function stepOf(total: number, lines: number): number {
  return STEPS.find((step) => total / step <= lines) ?? Math.ceil(total / lines / 86_400) * 86_400;
}

/** Seconds on a time axis: "0", "30 s", "5 min", "1 h 30 min". */
export function tick(seconds: number): string {
  if (seconds === 0) return '0';
  return duration(seconds * 1000)
    .replace(/\.0 s$/, ' s')
    .replace(/ 0 (?:s|min)$/, '');
}
