// Reads a code through the camera into a field of a form, which works without this script, too.
(() => {
  const scan = document.getElementById("scan");
  if (!scan || !navigator.mediaDevices || !navigator.mediaDevices.getUserMedia) return;
  const [start, stop, view, state] = ["start", "stop", "view", "state"].map((part) => document.getElementById("scan-" + part));
  const field = document.getElementById(scan.dataset.into);
  const PAUSE = 300;
  const WIDTH = 1280;
  let stream = null;

  // What the camera sees now, as {text, said}: read by the browser where it can, else by the server, which may also say
  // in words what the text means.
  async function reader() {
    const format = scan.dataset.format;
    if (format && "BarcodeDetector" in window && (await BarcodeDetector.getSupportedFormats()).includes(format)) {
      const detector = new BarcodeDetector({ formats: [format] });
      return async () => ({ text: (await detector.detect(view)).map((code) => code.rawValue)[0] });
    }
    const canvas = document.createElement("canvas");
    return async () => {
      const scale = Math.min(1, WIDTH / view.videoWidth);
      canvas.width = view.videoWidth * scale;
      canvas.height = view.videoHeight * scale;
      canvas.getContext("2d").drawImage(view, 0, 0, canvas.width, canvas.height);
      const picture = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
      const answer = await fetch(scan.dataset.frame, { method: "POST", headers: { "Content-Type": "image/jpeg" }, body: picture });
      return answer.ok ? answer.json() : {};
    };
  }

  function end(text) {
    if (stream) stream.getTracks().forEach((track) => track.stop());
    stream = null;
    view.hidden = stop.hidden = true;
    start.hidden = false;
    state.textContent = text;
  }

  function take(seen) {
    end(seen.said || "");
    const picture = field.form.querySelector("input[type=file]");
    if (picture) picture.value = "";
    field.value = seen.text;
    if ("send" in scan.dataset) field.form.submit();
  }

  async function look() {
    const read = await reader();
    while (stream) {
      const seen = view.videoWidth ? await read().catch(() => ({})) : {};
      if (seen.text && stream) return take(seen);
      await new Promise((done) => setTimeout(done, PAUSE));
    }
  }

  start.addEventListener("click", async () => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 } } });
    } catch {
      end(scan.dataset.refused);
      return;
    }
    view.srcObject = stream;
    view.hidden = stop.hidden = false;
    start.hidden = true;
    state.textContent = scan.dataset.looking;
    await view.play();
    look();
  });
  stop.addEventListener("click", () => end(""));
  addEventListener("pagehide", () => end(""));
  scan.hidden = false;
})();
