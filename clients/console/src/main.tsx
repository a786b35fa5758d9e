import { createRoot } from 'react-dom/client';
import { App } from './app';
import './styles/base.css';
import './styles/parts.css';
import './styles/table.css';
import './styles/pages.css';
import './styles/codex.css';

createRoot(document.getElementById('root')!).render(<App />);

// The shell for a start without a network. Only where the browser takes the address for a safe one.
if ('serviceWorker' in navigator) {
  navigator.serviceWorker.register('/sw.js').catch(() => {
    // Without it everything works but the offline start; the Codex page says so.
  });
}
