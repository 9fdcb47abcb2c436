// The pictures that the page has, data URLs by what they show: what was looked at longest ago goes first.
class Pictures {
  constructor(most) { this.most = most; this.size = 0; this.urls = new Map(); }
  get(id) {
    const url = this.urls.get(id);
    if (url !== undefined) { this.urls.delete(id); this.urls.set(id, url); }
    return url;
  }
  set(id, url) {
    this.delete(id);
    this.urls.set(id, url);
    this.size += id.length + url.length;
    for (const old of this.urls.keys()) {
      if (this.size <= this.most || old === id) return;
      this.delete(old);
    }
  }
  delete(id) {
    const url = this.urls.get(id);
    if (url !== undefined) this.size -= id.length + url.length;
    this.urls.delete(id);
  }
  askAgain() { for (const [id, url] of this.urls) if (!url) this.delete(id); }
}
