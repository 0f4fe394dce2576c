"""How the report's page looks. On a phone the cells of a row stand below each other, with their column's name."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light}*{box-sizing:border-box}
body{font:16px/1.5 system-ui,"Noto Sans",sans-serif;color:#1f2933;background:#f5f7fa;margin:0;overflow-wrap:anywhere}
main{max-width:1080px;margin:0 auto;padding:24px 14px 60px}h1{font-size:26px;margin:0 0 4px}h2{font-size:19px;margin:0 0 4px}
section{background:#fff;border:1px solid #e4e7eb;border-radius:8px;padding:16px 18px;margin:16px 0}p{color:#52606d;margin:4px 0 12px}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:14px;width:100%;margin:0 0 12px}
th,td{padding:4px 8px;border-bottom:1px solid #e4e7eb;text-align:right;vertical-align:top;white-space:nowrap}
th{color:#52606d;font-weight:600}.t{text-align:start;white-space:normal;overflow-wrap:anywhere;max-width:30em}
td.t{min-width:7em}@media(min-width:901px){td.t:first-child{min-width:13em}}
.facts{display:flex;flex-wrap:wrap;gap:10px;margin:14px 0}
.facts div{background:#fff;border:1px solid #e4e7eb;border-radius:8px;padding:8px 14px}
.facts b{display:block;font-size:20px}.facts small{color:#52606d}dt{font-weight:600}dd{margin:0 0 8px;color:#52606d}
summary{cursor:pointer;color:#1e5a96}pre{white-space:pre-wrap;background:#f0f4f8;padding:10px}
svg text{font:12px system-ui,sans-serif;fill:#52606d}.bar{width:120px;height:12px}.bar rect{fill:#e4e7eb}
.bar line{stroke:#7b9cc0;stroke-width:10}
circle{fill:#1e5a96}.curve{width:100%;max-width:620px}.curve line{stroke:#7b9cc0;stroke-width:3}.curve text{font-size:14px}
polyline{fill:none;stroke:#1e5a96;stroke-width:2}.heat{display:block;padding:2px 6px;border-radius:4px}
@media(max-width:600px){main{padding:14px 8px 40px}section{padding:14px 12px}}
@media(max-width:900px){.stack thead,.stack td:empty{display:none}
.stack td:first-child{font-weight:600}.stack .bar{width:150px}
.stack td{display:block;border:0;text-align:start;padding:1px 0}
.stack tr{display:block;border-bottom:1px solid #e4e7eb;padding:6px 0}.stack td[data-name]::before{content:attr(data-name) ": "}}
@media print{body{background:#fff}section{border:0;padding:0;break-inside:avoid-page}details::details-content{content-visibility:visible}}
"""
