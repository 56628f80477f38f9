package browser

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// faint finds texts whose contrast fails WCAG 2.2 level AA: less than 4.5 to 1, or 3
// to 1 for large text.
const faint = `(() => {
	const pen = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
	const rgba = (color) => {
		pen.clearRect(0, 0, 1, 1);
		pen.fillStyle = color;
		pen.fillRect(0, 0, 1, 1);
		const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
		return [r, g, b, a / 255];
	};
	const over = ([r, g, b, a], under) => [r, g, b].map((c, i) => c * a + under[i] * (1 - a)).concat(1);
	const ground = (e) => {
		const layers = [];
		for (; e; e = e.parentElement) {
			const layer = rgba(getComputedStyle(e).backgroundColor);
			layers.push(layer);
			if (layer[3] === 1) break;
		}
		return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255, 1]);
	};
	const light = (color) => {
		const [r, g, b] = color.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const list = new Set();
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walk.nextNode()) {
		const e = walk.currentNode.parentElement;
		if (!walk.currentNode.data.trim() || !e.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
		if (e.closest(":disabled, script, .away, option")) continue;
		const style = getComputedStyle(e), under = ground(e);
		const [a, b] = [light(over(rgba(style.color), under)), light(under)].sort((a, b) => b - a);
		const ratio = (a + 0.05) / (b + 0.05), size = parseFloat(style.fontSize);
		const large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
		if (ratio < (large ? 3 : 4.5)) list.add(ratio.toFixed(2) + " " + e.tagName.toLowerCase() + "." + e.className + " " + walk.currentNode.data.trim().slice(0, 40));
	}
	return [...list];
})()`

func TestContrast(t *testing.T) {
	t.Parallel()
	b := furnishedPanel(t).openTab(t)
	b.expectErrors("status of 404", unprocessable)
	b.logIn()
	for _, theme := range []string{"light", "dark"} {
		look{1280, theme, "en"}.applyTo(b)
		for _, page := range pages {
			b.openPage(page)
			b.mustRun(chromedp.WaitVisible(chromedp.CSS("main")))
			for _, text := range getValue[[]string](b, faint) {
				t.Errorf("%s is hard to read in %s: %s", page, theme, text)
			}
		}
	}
	// This checks faint itself: it must find grey text on grey.
	b.mustRun(chromedp.Evaluate[chromedp.Void](`document.querySelector("h1, h2").style.setProperty("color", getComputedStyle(document.body).backgroundColor)`))
	if found := getValue[[]string](b, faint); len(found) == 0 {
		t.Error("a heading in the colour of the page was not found")
	}
}
