#include "tools/report/style.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/load_level.h"

namespace evenkeel::tools {
namespace {

constexpr char kStyle[] = R"(
:root{color-scheme:light dark;--text:#1d2126;--soft:#5c6670;--line:#dfe3e7;--card:#f6f7f8;--back:#fff;--warn:#9a1b1b;
--worst:#c4402b;--mean:#1f5fbf;--floor:#6b7580;--high:#c4402b;--low:#1f5fbf;--band:#dfe6ee;--middle:#c3d0de}
*{box-sizing:border-box}
body{margin:0 auto;max-width:66rem;padding:1.5rem 1rem 3rem;color:var(--text);background:var(--back);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .25rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2.5rem 0 .25rem}h3{font-size:1rem;margin:1.5rem 0 0;overflow-wrap:anywhere}
p{margin:.25rem 0 .75rem;max-width:48rem}.soft,.legend{color:var(--soft);font-size:.9rem;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(9.5rem,1fr));gap:.75rem;margin:1.25rem 0}
dl div{background:var(--card);border-radius:.5rem;padding:.6rem .8rem}dt{color:var(--soft);font-size:.8rem}
dd{margin:0;font-size:1.15rem;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}dd small{color:var(--soft)}dd code{font-size:.75rem;white-space:nowrap}
.wide{overflow-x:auto;margin:.5rem 0}.wide>svg{display:block;width:100%;min-width:40rem}
svg text{font-size:12px;fill:var(--soft)}svg .row{fill:transparent}svg .row:hover{stroke:var(--text)}
svg path{vector-effect:non-scaling-stroke}
.grid{stroke:var(--line);fill:none}.mark{stroke:var(--soft);stroke-dasharray:2 3;fill:none}
path.worst,path.mean,path.floor,path.high,path.low{fill:none;stroke-width:1.6}
path.worst{stroke:var(--worst)}path.mean{stroke:var(--mean);stroke-width:2.2}
path.floor{stroke:var(--floor);stroke-dasharray:6 4}path.high{stroke:var(--high)}path.low{stroke:var(--low)}
path.band{fill:var(--band)}path.middle{fill:var(--middle)}
.legend span{display:inline-block;margin-right:1rem;white-space:nowrap}
.legend svg{width:.9em;height:.9em;vertical-align:-.1em;outline:1px solid var(--line)}
.legend i{display:inline-block;width:1.4em;height:3px;vertical-align:.25em;background:var(--text)}
i.worst,i.high{background:var(--worst)}i.mean,i.low{background:var(--mean)}i.floor{background:var(--floor)}
.legend i.band,.legend i.middle{height:.8em;vertical-align:-.05em}
.legend i.band{background:var(--band)}.legend i.middle{background:var(--middle)}
table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums;white-space:nowrap}
th,td{padding:.25rem .7rem;text-align:right;border-bottom:1px solid var(--line)}th{color:var(--soft);font-weight:600}
th:first-child,td:first-child,td.word,th.word{text-align:left}
td.bad{color:var(--warn);font-weight:600}
ul{padding-left:1.2rem;max-width:60rem}li{margin:.2rem 0;overflow-wrap:anywhere}.warn li{color:var(--warn)}
pre{overflow-x:auto;background:var(--card);border-radius:.5rem;padding:.75rem;font-size:.8125rem;line-height:1.45}
@media(max-width:44rem){.wide>svg{min-width:52rem}}
footer{margin-top:3rem;color:var(--soft);font-size:.85rem}
)";

constexpr char kDarkStyle[] =
    ":root{--text:#e4e7ea;--soft:#98a2ad;--line:#30363d;--card:#1c2025;--back:#131619;--warn:#ff8d7d;--worst:#ff7a5c;"
    "--mean:#6aa9ff;--floor:#98a2ad;--high:#ff7a5c;--low:#6aa9ff;--band:#222a33;--middle:#344252}\n";

constexpr char kPrintStyle[] =
    "@media print{body{font-size:10pt;max-width:none;padding:0}*{print-color-adjust:exact;"
    "-webkit-print-color-adjust:exact}.wide{overflow:visible}.wide>svg{min-width:0}table{font-size:7.5pt}"
    "th,td{padding:.15rem .35rem}section,svg,tr,figure{break-inside:avoid}section.long{break-inside:auto}"
    "h2,h3{break-after:avoid}}\n";

std::string LevelClasses(bool is_dark) {
  std::string text;
  for (int level = 0; level < kLevels; ++level) {
    const Rgb colour = LevelColour(level, is_dark);
    absl::StrAppendFormat(&text, ".l%d{fill:#%02x%02x%02x}", level, colour.red, colour.green, colour.blue);
  }
  return text;
}

}  // namespace

std::string ReportStyle() {
  return absl::StrCat(kStyle, LevelClasses(/*is_dark=*/false), "\n@media screen and (prefers-color-scheme:dark){",
                      kDarkStyle, LevelClasses(/*is_dark=*/true), "}\n", kPrintStyle);
}

}  // namespace evenkeel::tools
