package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// TestExport chooses columns and their order, downloads a file, and then one with
// passwords: the page stays, also while it asks for the password.
func TestExport(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	p.addFleet(5, "good=1")
	b := p.openTab(t)
	b.expectErrors("status of 422")
	b.logIn()
	dir := t.TempDir()
	b.keepDownloads(dir)
	b.openPage("/nodes")
	b.clickOn(`#list header a[href^="/nodes/export"]`)
	b.waitTrue(pathIs("/nodes/export") + ` && ` + hasText("main h2", "5 nodes"))
	visible := func(selector string) string {
		return fmt.Sprintf(`document.querySelector(%s).offsetParent !== null`, quoteJS(selector))
	}
	b.waitTrue(visible(".columns") + ` && !(` + visible(".secrets") + `)`)
	b.mustRun(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("[name=column]:checked").forEach(c => ["login", "address"].includes(c.value) || c.click())`))
	for range 2 { // over the port, and over the address
		b.clickOn(`li:has([value=login]) [data-move=up]`)
	}
	b.waitTrue(`document.activeElement.dataset.move === "up" && [...document.querySelectorAll("[name=column]")].slice(0, 2).map(c => c.value).join() === "login,address"`)
	b.clickOn(`#export .btn.primary`)
	file := func(ending, begins string, lines int) {
		t.Helper()
		waitUntil(t, patience, func() error {
			text, err := readDownload(dir, ending)
			if err == nil && (!strings.HasPrefix(string(text), begins) || strings.Count(string(text), "\n") != lines) {
				err = fmt.Errorf("the %s is %q", ending, text)
			}
			return err
		})
	}
	file(".csv", "login,address\n", 6)
	b.clickOn(`[name=form][value=colons]`)
	b.waitTrue(visible(".secrets") + ` && ` + visible(".fixed") + ` && !(` + visible(".columns") + `)`)
	b.clickOn(`#export .btn.primary`)
	b.waitTrue(hasText("#e-own_password", "Enter your password") + ` && document.querySelector("[value=colons]").checked`)
	b.mustRun(chromedp.SetValue(chromedp.CSS(`[name=own_password]`), password))
	b.clickOn(`#export .btn.primary`)
	file(".txt", "", 5)
	b.waitTrue(pathIs("/nodes/export"))
	// The next visit shows the choice, and needs no password any more.
	b.openPage("/nodes/export")
	b.waitTrue(`document.querySelector("[value=colons]").checked && !document.querySelector("[name=own_password]")`)
}

// keepDownloads saves the files that the tab downloads to dir.
func (b *tab) keepDownloads(dir string) {
	b.t.Helper()
	b.mustRun(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		tab, err := chromedp.Call(ctx, target.GetTargetInfo, target.GetTargetInfoParams{})
		if err != nil {
			return err
		}
		_, err = chromedp.CallBrowser(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
			Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir, BrowserContextID: tab.TargetInfo.BrowserContextID,
		})
		return err
	}))
}

// readDownload returns the nodes that were downloaded to dir as a file with an ending.
func readDownload(dir, ending string) ([]byte, error) {
	files, err := filepath.Glob(filepath.Join(dir, "nodes-????-??-??"+ending))
	if err != nil {
		return nil, err
	}
	if len(files) != 1 {
		return nil, fmt.Errorf("%d files %s", len(files), ending)
	}
	return os.ReadFile(files[0])
}
