import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Chat } from "./Chat";

const main = document.querySelector("main") as HTMLElement;
createRoot(main).render(
  <StrictMode>
    <Chat />
  </StrictMode>,
);
