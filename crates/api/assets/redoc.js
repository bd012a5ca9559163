// No search: its worker would be made from a blob, which the page's policy does not allow. No fonts but the system's.
Redoc.init(
  "openapi.json",
  {
    disableSearch: true,
    hideDownloadButton: false,
    theme: { typography: { fontFamily: "system-ui, sans-serif", headings: { fontFamily: "system-ui, sans-serif" } } },
  },
  document.getElementById("redoc"),
);
