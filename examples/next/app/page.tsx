import { Ask } from "./Ask";

export default function Page() {
  return (
    <main>
      <h1>Fanlight with Next</h1>
      <Ask />
    </main>
  );
}
