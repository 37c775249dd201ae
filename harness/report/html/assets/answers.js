// What a variant answered: how often each class is right, which are taken for which, and, where
// images were asked for, the surest mistakes.

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
// With fewer images of a class their share says nothing.
const ENOUGH = 10;
// As in the rest of the page: the share of so few is no accuracy.
const FEW = 1000;

const share = (part, of) => (of ? part / of : 0);
const ofAll = (part, of) => `${whole.format(part)} of ${whole.format(of)}`;

function unpacked([width, letters]) {
  const numbers = [];
  for (let at = 0; at < letters.length; at += width) {
    numbers.push([...letters.slice(at, at + width)].reduce((n, letter) => n * 64 + DIGITS.indexOf(letter), 0));
  }
  return numbers;
}

/** The classes, the worst first; of as bad ones, the one with more images. */
function classesOf(answers) {
  if (answers.classes < 0) return [];
  const [names, counts] = data.classes[answers.classes];
  const [images, right] = [unpacked(counts), unpacked(answers.right)];
  return names
    .map((name, order) => ({ name: text(name), order, images: images[order], right: right[order] }))
    .sort((a, b) => share(a.right, a.images) - share(b.right, b.images) || b.images - a.images || a.order - b.order);
}

function classTable(caption, classes, isShared) {
  return plainTable(caption, ["Class", "Right"], classes.map(({ name, images, right }) => {
    const cell = el("td", { class: "number" }, ofAll(right, images));
    if (isShared) addShare(cell, 100 * share(right, images));
    return el("tr", {}, el("th", { scope: "row" }, foreign(name)), cell);
  }), 1);
}

/** How many classes are how often right, in ten steps. */
function histogram(classes) {
  const steps = new Array(10).fill(0);
  for (const { images, right } of classes) steps[Math.min(9, Math.floor(10 * share(right, images)))] += 1;
  const most = Math.max(...steps);
  const said = steps.map((number, step) => `${10 * step} to ${10 * step + 10}%: ${number}`).join("; ");
  return el("figure", { class: "histogram" },
    el("div", { class: "columns", role: "img", "aria-label": `Classes by how many of their images are right: ${said}` },
      steps.map((number, step) => {
        const column = el("div", {}, el("span", {}, number ? whole.format(number) : ""), el("i"), el("span", { class: "about" }, `${10 * step}`));
        column.style.setProperty("--height", `${100 * share(number, most)}%`);
        return column;
      })),
    el("figcaption", { class: "about" }, "Classes, by the percentage of their images that is right"));
}

function mistake([image, labels, answered, probability, thumbnail]) {
  return el("figure", {},
    el("img", { src: `data:image/jpeg;base64,${data.thumbnails[thumbnail]}`, width: 64, height: 64, alt: "" }),
    el("figcaption", {},
      el("div", {}, foreign(text(answered)), el("span", { class: "muted" }, ` ${probability.toFixed(3)}`)),
      el("div", { class: "about" }, "labelled ", labels.map((label, n) => [n ? ", " : "", foreign(text(label))]).flat()),
      el("div", { class: "place" }, foreign(text(image)))));
}

function counted([images, top1, top5, unreadable, notFinite]) {
  const right = (number) => (images < FEW ? whole.format(number) : `${whole.format(number)} (${percent(100 * share(number, images))})`);
  return [`Of ${whole.format(images)} ${images === 1 ? "image" : "images"}, ${right(top1)} ${top1 === 1 ? "is" : "are"} answered right${top5 === null ? "" : `, and ${right(top5)} among the first five`}.`,
    unreadable ? ` ${whole.format(unreadable)} could not be read.` : "",
    notFinite ? ` Of ${whole.format(notFinite)} the logits are no finite numbers.` : ""].join("");
}

function answersBlock(answers) {
  const { counts, confused, mistakes, rest } = answers;
  const classes = classesOf(answers);
  const isShared = classes.length > 0 && counts[0] / (classes.length + rest) >= ENOUGH;
  const worst = classes.slice(0, 10).filter((each) => each.right < each.images);
  const all = el("details", {}, el("summary", {}, rest ? `The worst ${whole.format(classes.length)} of ${whole.format(classes.length + rest)} classes` : `All ${whole.format(classes.length)} classes`));
  // A thousand rows are made when they are asked for.
  all.addEventListener("toggle", () => all.open && all.children.length === 1
    && all.append(classTable("Classes, the worst first", classes, isShared)));
  return el("section", { class: "answers" }, el("h3", {}, "Answers on ", foreign(text(answers.about))),
    el("p", {}, counted(counts)),
    isShared ? histogram(classes) : null,
    classes.length ? [...(worst.length ? [el("h4", {}, "Worst classes"), classTable("Worst classes", worst, isShared)] : []),
      classes.length > worst.length ? all : null]
      : el("p", { class: "muted" }, "Several classes may be right of an image, so that no class has an accuracy of its own."),
    confused.length ? [el("h4", {}, "Most confused"), plainTable("Most confused", ["Class", "Answered", "Images"],
      confused.map(([label, answered, number, of]) => el("tr", {}, el("th", { scope: "row" }, foreign(text(label))),
        el("td", {}, foreign(text(answered))), el("td", { class: "number" }, ofAll(number, of)))), 2)] : null,
    mistakes.length ? [el("h4", {}, "Most confident mistakes"), el("div", { class: "mistakes" }, mistakes.map(mistake))] : null);
}
