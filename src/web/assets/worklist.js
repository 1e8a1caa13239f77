// The worklist: what can be done with a study is in its menu.

import { menus, ofStudy } from "./menu.js";

const list = document.querySelector("[data-worklist]");
if (list) menus(list, (row) => ofStudy(row, () => location.reload()));
