// Reads a card through the camera and hands its text to the form, which works without this script, too.
(() => {
  const scan = document.getElementById("scan");
  if (!scan || !navigator.mediaDevices || !navigator.mediaDevices.getUserMedia) return;
  const [start, stop, view, state] = ["start", "stop", "view", "state"].map((part) => document.getElementById("scan-" + part));
  const form = document.getElementById("verify");
  const PREFIX = "shc:/";
  const PAUSE = 300;
  const WIDTH = 1280;
  let stream = null;

  async function reader() {
    if ("BarcodeDetector" in window && (await BarcodeDetector.getSupportedFormats()).includes("qr_code")) {
      const detector = new BarcodeDetector({ formats: ["qr_code"] });
      return async () => (await detector.detect(view)).map((code) => code.rawValue).find((text) => text.startsWith(PREFIX));
    }
    const canvas = document.createElement("canvas");
    return async () => {
      const scale = Math.min(1, WIDTH / view.videoWidth);
      canvas.width = view.videoWidth * scale;
      canvas.height = view.videoHeight * scale;
      canvas.getContext("2d").drawImage(view, 0, 0, canvas.width, canvas.height);
      const picture = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
      const answer = await fetch("/verify/frame", { method: "POST", headers: { "Content-Type": "image/jpeg" }, body: picture });
      return answer.ok ? (await answer.json()).card : null;
    };
  }

  function end(text) {
    if (stream) stream.getTracks().forEach((track) => track.stop());
    stream = null;
    view.hidden = stop.hidden = true;
    start.hidden = false;
    state.textContent = text;
  }

  async function look() {
    const read = await reader();
    while (stream) {
      const card = view.videoWidth ? await read().catch(() => null) : null;
      if (card && stream) {
        end("");
        document.getElementById("picture").value = "";
        document.getElementById("text").value = card;
        form.submit();
        return;
      }
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
