// The browser picks the page: every path is answered with the same index.html.
const pages = { "/": "Home", "/about": "About" };

document.getElementById("page").textContent = `${pages[location.pathname] ?? "No such page"}, ${import.meta.env.VITE_GREETING ?? "hello"}`;
