/** The schema of an image, which clients fetch once before they list. */

const text = (description: string, more: object = {}) => ({ type: 'string', description, ...more })
const read = (description: string, more: object = {}) => text(description, { readOnly: true, ...more })
const nullable = (type: string, description: string, more: object = {}) => ({
  type: ['null', type],
  description,
  ...more,
})

export const imageSchema = {
  name: 'image',
  properties: {
    id: text('An identifier for the image', {
      pattern: '^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$',
    }),
    name: nullable('string', 'Descriptive name', { maxLength: 255 }),
    status: read('Status', {
      enum: [
        'queued',
        'saving',
        'active',
        'killed',
        'deleted',
        'uploading',
        'importing',
        'pending_delete',
        'deactivated',
      ],
    }),
    visibility: text('Who sees it', { enum: ['community', 'public', 'private', 'shared'] }),
    protected: { type: 'boolean', description: 'Whether it cannot be deleted' },
    os_hidden: { type: 'boolean', description: 'Whether the default list leaves it out' },
    checksum: nullable('string', 'MD5 of the contents', { readOnly: true, maxLength: 32 }),
    os_hash_algo: nullable('string', 'Algorithm of os_hash_value', { readOnly: true, maxLength: 64 }),
    os_hash_value: nullable('string', 'Digest of the contents', { readOnly: true, maxLength: 128 }),
    owner: nullable('string', 'Owner', { maxLength: 255 }),
    size: nullable('integer', 'Bytes', { readOnly: true }),
    virtual_size: nullable('integer', 'Virtual bytes', { readOnly: true }),
    container_format: nullable('string', 'Format of the container', {
      enum: [null, 'ami', 'ari', 'aki', 'bare', 'ovf', 'ova', 'docker', 'compressed'],
    }),
    disk_format: nullable('string', 'Format of the disk', {
      enum: [null, 'ami', 'ari', 'aki', 'vhd', 'vhdx', 'vmdk', 'raw', 'qcow2', 'vdi', 'iso', 'ploop'],
    }),
    created_at: read('When it was registered'),
    updated_at: read('When it was last changed'),
    tags: { type: 'array', description: 'Texts about it', items: { type: 'string', maxLength: 255 } },
    direct_url: read('Where the contents lie outside'),
    min_ram: { type: 'integer', description: 'MB of memory it needs' },
    min_disk: { type: 'integer', description: 'GB of disk it needs' },
    self: read('URL of the image'),
    file: read('URL of the contents'),
    stores: read('Stores that have the contents'),
    schema: read('URL of this schema'),
    locations: {
      type: 'array',
      items: {
        type: 'object',
        properties: { url: { type: 'string', maxLength: 255 }, metadata: { type: 'object' } },
        required: ['url', 'metadata'],
      },
      description: 'Where the contents lie',
    },
    kernel_id: nullable('string', 'Kernel image', { is_base: false }),
    ramdisk_id: nullable('string', 'Ramdisk image', { is_base: false }),
    instance_uuid: text('Server that it was made from', { is_base: false }),
    architecture: text('Processor architecture', { is_base: false }),
    os_distro: text('Distribution', { is_base: false }),
    os_version: text('Version of the operating system', { is_base: false }),
    description: text('Description', { is_base: false }),
    cinder_encryption_key_id: text('Key of an encrypted volume', { is_base: false }),
    cinder_encryption_key_deletion_policy: text('What becomes of that key', {
      enum: ['on_image_deletion', 'do_not_delete'],
      is_base: false,
    }),
  },
  additionalProperties: { type: 'string' },
  links: [
    { rel: 'self', href: '{self}' },
    { rel: 'enclosure', href: '{file}' },
    { rel: 'describedby', href: '{schema}' },
  ],
}
